"""Which clips are copies of known ones: coded anew, shifted, louder or softer, or cut out of one another.

Landmarks propose (audio_reasoning/tasks/fingerprint.py), a comparison sample by sample decides
(audio_reasoning/tasks/same_sound.py).
"""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from joblib import Parallel, delayed

from audio_reasoning.core.progress import progress
from audio_reasoning.tasks.combine_params import SameSound
from audio_reasoning.tasks.fingerprint import Index, Landmarks
from audio_reasoning.tasks.kept_marks import landmarks_of, samples_of
from audio_reasoning.tasks.same_sound import coherence, distance_db, laid_over

_WORTH_PROCESSES = 500  # clips; fewer are compared before another process has started


@dataclass(frozen=True)
class Clip:
    """A file of 16 kHz mono samples; those that are `apart` under one name are not compared with each other.

    With the SHA-256 of the file its fingerprint can be kept.
    """

    path: Path
    apart: str | None = None
    sha256: str = ""


@dataclass(frozen=True)
class Copy:
    """Which of the known clips it is a copy of; the seconds they have in common, and how alike they are in those."""

    known: int
    shared_s: float
    coherence: float
    distance_db: float


def copies(
    clips: Sequence[Clip], known: Sequence[Clip], params: SameSound, kept: Path | None = None
) -> Iterator[Copy | None]:
    """For each clip the known one that it is a copy of, None for most; in order, made on all cores.

    Only those are read that may be compared with any. Fingerprints are kept in the folder `kept`, where one is given.
    """
    ours, theirs = {clip.apart for clip in clips}, {clip.apart for clip in known}
    places = [place for place, clip in enumerate(known) if clip.apart is None or ours - {clip.apart}]
    asked = [clip.apart is None or bool(theirs - {clip.apart}) for clip in clips]
    run = Parallel(n_jobs=-1 if sum(asked) >= _WORTH_PROCESSES else 1, batch_size=16, return_as="generator")
    with progress(len(places) + sum(asked), "clip", "comparing sounds") as bar:
        marks: list[Landmarks] = []
        for one in run(delayed(_landmarks)(known[place], kept) for place in places):
            marks.append(one)
            bar.update()
        index, there = Index(marks), [known[place] for place in places]
        of_asked = (clip for clip, ask in zip(clips, asked, strict=True) if ask)
        found = run(delayed(_copy)(clip, there, index, params, kept) for clip in of_asked)
        for ask in asked:
            copy = next(found) if ask else None
            bar.update(int(ask))
            yield copy and replace(copy, known=places[copy.known])


def _copy(clip: Clip, known: Sequence[Clip], index: Index, params: SameSound, kept: Path | None) -> Copy | None:
    for likeness in index.like(_landmarks(clip, kept)):
        other = known[likeness.clip]
        if clip.apart is not None and clip.apart == other.apart:
            continue
        pair = laid_over(_read_again(clip.path), _read_again(other.path), likeness.offset_s)
        # The cheapest first: most that is proposed is refused by one of the first two.
        if pair.overlap < params.overlap or (apart_db := distance_db(pair)) > params.distance_db:
            continue
        if (height := coherence(pair)) >= params.coherence:
            return Copy(likeness.clip, pair.shared_s, height, apart_db)
    return None


def _landmarks(clip: Clip, kept: Path | None) -> Landmarks:
    return landmarks_of(clip.path, clip.sha256, kept)


_read_again = functools.lru_cache(maxsize=16)(samples_of)  # what one clip is like, its neighbours are like too
