"""Traces as training batches: the very tokens that were sampled, beside the clips that they were sampled for."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import soundfile
import torch
from torch.utils.data import Dataset, Sampler

from stages.common.audio_tokens import SAMPLE_RATE_HZ
from stages.common.errors import UserError
from stages.common.files import AUDIO, sha256_file
from stages.common.progress import progress
from stages.model.processor import AudioTextProcessor, Encoded
from stages.rest.layout import Trace

_POOL = 16  # batches whose examples are sorted by length together: little padding, still much chance


class Clips:
    """Mel features of clips by path, computed once; a clip that has changed since it was sampled is refused."""

    def __init__(self, processor: AudioTextProcessor):
        self.processor = processor
        self._features: dict[tuple[str, str], torch.Tensor] = {}

    def features(self, audio_path: str, audio_sha256: str) -> torch.Tensor:
        """Log-mel features [bins, frames] of a clip below the media root."""
        key = audio_path, audio_sha256
        if key not in self._features:
            path = AUDIO / audio_path
            if not path.is_file() or sha256_file(path) != audio_sha256:
                raise UserError(f"{path}: the clip is missing or has changed since it was sampled; run `dvc repro`")
            samples, rate = soundfile.read(path, dtype="float32")
            assert rate == SAMPLE_RATE_HZ, f"{path} has {rate} Hz"
            self._features[key] = self.processor.features(samples)
        return self._features[key]


class Traces(Dataset):  # type: ignore[misc]
    """Traces by index, each with its clip's features."""

    def __init__(self, traces: Sequence[Trace], clips: Clips):
        self.traces, self.clips = traces, clips
        with progress(len(traces), "trace", "mel features") as bar:
            for trace in traces:
                clips.features(trace.audio_path, trace.audio_sha256)
                bar.update()

    def __len__(self) -> int:
        return len(self.traces)

    def __getitem__(self, index: int) -> tuple[Trace, torch.Tensor]:
        trace = self.traces[index]
        return trace, self.clips.features(trace.audio_path, trace.audio_sha256)

    def lengths(self) -> list[int]:
        """Tokens of each trace, prompt and completion together."""
        return [len(trace.prompt_token_ids) + len(trace.completion_token_ids) for trace in self.traces]


def collate(processor: AudioTextProcessor, examples: Sequence[tuple[Trace, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """A padded batch with labels, as `AudioTextProcessor.batch` gives it, and `weights` [batch]."""
    prompts = [Encoded(list(trace.prompt_token_ids), features) for trace, features in examples]
    batch = processor.batch(prompts, [list(trace.completion_token_ids) for trace, _ in examples])
    return {**batch, "weights": torch.tensor([trace.weight for trace, _ in examples], dtype=torch.float32)}


class LengthBuckets(Sampler):  # type: ignore[misc]
    """Batches of indices with similar lengths, in random order, for all epochs in one go.

    One long epoch for the trainer: where a resumed training goes on depends on nothing but the number of batches done.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, epochs: int, seed: int):
        rng = np.random.default_rng(seed)
        self.batches: list[list[int]] = []
        for _ in range(epochs):
            order = rng.permutation(len(lengths))
            batches = []
            for start in range(0, len(order), batch_size * _POOL):
                pool = sorted(order[start : start + batch_size * _POOL].tolist(), key=lengths.__getitem__)
                batches += [pool[i : i + batch_size] for i in range(0, len(pool), batch_size)]
            self.batches += [batches[i] for i in rng.permutation(len(batches))]

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.batches)


def padding_share(lengths: Sequence[int], batches: Sequence[Sequence[int]]) -> float:
    """The share of pad tokens among all tokens of the batches."""
    real = sum(lengths[i] for batch in batches for i in batch)
    return 1 - real / sum(len(batch) * max(lengths[i] for i in batch) for batch in batches)


def to_device(batch: dict[str, Any], device: torch.device) -> dict[str, Any]:
    """The batch's tensors on `device`."""
    return {name: tensor.to(device) for name, tensor in batch.items()}
