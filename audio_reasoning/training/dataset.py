"""Traces as training batches: the very tokens that were sampled, beside the clips that they were sampled for."""

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

from audio_reasoning.core.audio import SAMPLE_RATE_HZ
from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import sha256_file
from audio_reasoning.core.progress import progress
from audio_reasoning.core.rollouts import Trace
from audio_reasoning.families.family import Processor
from audio_reasoning.families.qwen3_omni.processor import Encoded

Example = tuple[Trace, torch.Tensor]  # with its clip's mel features [bins, frames]
_POOL = 16  # batches whose examples are sorted by length together: little padding, still much chance


class Clips:
    """Mel features of clips by path, computed once; a clip that has changed since it was sampled is refused."""

    def __init__(self, processor: Processor, media_root: Path):
        self.processor, self.media_root = processor, media_root
        self._features: dict[tuple[str, str], torch.Tensor] = {}

    def features(self, audio_path: str, audio_sha256: str) -> torch.Tensor:
        """Log-mel features [bins, frames] of a clip below the media root."""
        key = audio_path, audio_sha256
        if key not in self._features:
            path = self.media_root / audio_path
            if not path.is_file() or sha256_file(path) != audio_sha256:
                raise UserError(f"{path}: the clip is missing or has changed since it was sampled; run `dvc repro`")
            samples, rate = soundfile.read(path, dtype="float32")
            assert rate == SAMPLE_RATE_HZ, f"{path} has {rate} Hz"
            self._features[key] = self.processor.features(samples)
        return self._features[key]


class Rows:
    """What training batches are made of: each row is one trace, or all traces of a prompt about a clip."""

    def __init__(self, traces: Sequence[Trace], clips: Clips, share_prompts: bool):
        rows: dict[Any, list[Trace]] = {}
        for index, trace in enumerate(traces):
            # One question about two clips of one length has the same prompt tokens.
            key = (trace.audio_path, trace.audio_sha256, trace.prompt_token_ids) if share_prompts else index
            rows.setdefault(key, []).append(trace)
        self.rows, self.clips = list(rows.values()), clips
        with progress(len(self.rows), "clip", "mel features") as bar:
            for row in self.rows:
                clips.features(row[0].audio_path, row[0].audio_sha256)
                bar.update()

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> list[Example]:
        row = self.rows[index]
        features = self.clips.features(row[0].audio_path, row[0].audio_sha256)
        return [(trace, features) for trace in row]

    def lengths(self) -> list[int]:
        """Tokens of each row."""
        return [
            len(row[0].prompt_token_ids) - 1 + sum(1 + len(trace.completion_token_ids) for trace in row)
            for row in self.rows
        ]


def collate(processor: Processor, rows: Sequence[Sequence[Example]]) -> dict[str, torch.Tensor]:
    """A padded batch as `Processor.batch` gives it, with `weights` [batch, tokens] of the labels.

    The traces of a row share one copy of their prompt, all but its last token: that one is repeated before each
    completion, whose first token it predicts. Where a row has several traces, `position_ids` [3, batch, tokens]
    count every completion from the prompt's end, and `attention_mask` [batch, 1, tokens, tokens] lets it see the
    prompt and itself: to the model each one is a conversation of its own.
    """
    prompts = [Encoded(list(row[0][0].prompt_token_ids[:-1]), row[0][1]) for row in rows]
    turns = [[[trace.prompt_token_ids[-1], *trace.completion_token_ids] for trace, _ in row] for row in rows]
    batch = processor.batch(prompts, [list(chain.from_iterable(row)) for row in turns])
    labels, width = batch["labels"], batch["labels"].shape[1]
    weights = torch.zeros(labels.shape)
    # Which completion a token belongs to: 0 the prompt, then 1, 2, …; -1 is padding.
    segments = torch.full(labels.shape, -1)
    positions = torch.arange(width).repeat(len(rows), 1)
    for i, row in enumerate(rows):
        start = first = len(prompts[i].ids)
        segments[i, :start] = 0
        for number, (turn, (trace, _)) in enumerate(zip(turns[i], row, strict=True), start=1):
            end = start + len(turn)
            labels[i, start] = -100
            weights[i, start + 1 : end] = trace.weight
            segments[i, start:end] = number
            positions[i, start:end] = torch.arange(first, first + len(turn))
            start = end
    if all(len(row) == 1 for row in rows):
        return {**batch, "weights": weights}
    seen = (segments[:, None, :] == 0) | (segments[:, None, :] == segments[:, :, None])
    seen &= torch.ones(width, width, dtype=torch.bool).tril()  # padding sees padding, so no row of the mask is empty
    return {
        **batch,
        "weights": weights,
        "position_ids": positions.expand(3, -1, -1).contiguous(),
        "attention_mask": seen[:, None],
    }


class LengthBuckets:
    """Batches of indices with similar lengths, in random order, for all epochs in one go.

    Where a resumed training goes on depends on nothing but the number of batches done.
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
