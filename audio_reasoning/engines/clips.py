"""Clips as an endpoint takes them: WAV or MP3, in base64. A clip of another format is converted once and kept."""

import base64
import io
import threading
from pathlib import Path

from audio_reasoning.core.files import write_bytes

_MOST_BYTES = 2 * 2**30  # of WAV files; 1,000 clips of 20 s take 0.6 GB
_AS_THEY_ARE = ("wav", "mp3")  # the OpenAI API takes these only


class InlineClips:
    """Clips for requests; WAV files that had to be made are kept in `folder`, named by their clips' hashes.

    Without a folder nothing is kept.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._making = threading.Lock()  # two requests for one clip make one file
        self._made = 0

    def part(self, path: Path, sha256: str) -> dict[str, str]:
        """An input_audio part's content: the clip at `path`, whose bytes have the hash `sha256`.

        Safe under several threads and processes. Raises soundfile.LibsndfileError for a clip that cannot be read.
        """
        kind = path.suffix.lower().removeprefix(".")
        if kind in _AS_THEY_ARE:
            return _encoded(path.read_bytes(), kind)
        if self._folder is None:
            return _encoded(_wav(path.read_bytes()), "wav")
        kept = self._folder / f"{sha256}.wav"
        with self._making:
            if not kept.exists():
                write_bytes(kept, _wav(path.read_bytes()))
                self._made += 1
        return _encoded(kept.read_bytes(), "wav")

    def prune(self) -> None:
        """Delete the oldest files beyond 2 GiB, if any was made."""
        if self._folder is None or not self._made:
            return
        total = 0
        for file in sorted(self._folder.glob("*.wav"), key=lambda file: file.stat().st_mtime, reverse=True):
            total += file.stat().st_size
            if total > _MOST_BYTES:
                file.unlink(missing_ok=True)


def _encoded(content: bytes, kind: str) -> dict[str, str]:
    return {"data": base64.b64encode(content).decode(), "format": kind}


def _wav(content: bytes) -> bytes:
    import soundfile  # 0.1 s, which only a clip that is not kept yet needs

    samples, rate_hz = soundfile.read(io.BytesIO(content), dtype="int16")
    wav = io.BytesIO()
    soundfile.write(wav, samples, rate_hz, format="WAV", subtype="PCM_16")
    return wav.getvalue()
