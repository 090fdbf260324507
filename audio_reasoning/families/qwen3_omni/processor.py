"""Audio and text to model inputs: bit-identical to Qwen3-Omni's own processor, without torchvision or images.

The official processor hands flat keyword arguments such as `max_length` to the audio front end as well,
where they count samples: text-style truncation then cuts a 20 s clip to 0.26 s without a word. Here nothing
truncates, and the number of audio tokens is checked against the clip's duration at every use.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoTokenizer, PreTrainedTokenizerBase, WhisperFeatureExtractor

from audio_reasoning.core.audio import HOP_SAMPLES, SAMPLE_RATE_HZ
from audio_reasoning.core.errors import UserError
from audio_reasoning.families.family import Shown
from audio_reasoning.families.qwen3_omni.audio_tokens import audio_token_count
from audio_reasoning.families.qwen3_omni.checkpoint import loading, source
from audio_reasoning.families.qwen3_omni.classes import ProcessorMixin


@dataclass(frozen=True)
class Encoded:
    """One prompt: token ids with expanded audio placeholders, and mel features [bins, frames]; no frames: no audio.

    `earlier` has the features of clips that come before the question's, in their order.
    """

    ids: list[int]
    features: torch.Tensor
    earlier: tuple[torch.Tensor, ...] = ()

    @property
    def clips(self) -> list[torch.Tensor]:
        """The features of all clips, in their order."""
        return [clip for clip in (*self.earlier, self.features) if clip.shape[1]]


class AudioTextProcessor:
    """Build inputs for one clip and its prompt; works for the tiny and for the real checkpoint.

    A family with another placeholder or rate of audio tokens overrides `audio_token` and `audio_tokens`.
    """

    audio_token = "<|audio_pad|>"

    def __init__(self, tokenizer: PreTrainedTokenizerBase, extractor: WhisperFeatureExtractor):
        self.tokenizer = tokenizer
        self.extractor = extractor
        self.audio_token_id = int(tokenizer.convert_tokens_to_ids(self.audio_token))

    @classmethod
    def from_checkpoint(cls, path: Path) -> Self:
        """Load the tokenizer and the front end of a model folder, from the hub if it points there.

        Raises UserError when they cannot be loaded, or come without a chat template.
        """
        where = source(path)
        with loading(path):
            tokenizer = AutoTokenizer.from_pretrained(**where)
            extractor = WhisperFeatureExtractor.from_pretrained(**where)
            # Qwen3-Omni keeps its template with the processor, which vLLM too asks before the tokenizer.
            template = ProcessorMixin.get_processor_dict(**where)[0].get("chat_template") or tokenizer.chat_template
        if not template:
            raise UserError(f"{path}: the model comes without a chat template")
        tokenizer.chat_template = template
        return cls(tokenizer, extractor)

    def audio_tokens(self, samples: int) -> int:
        """How many tokens a clip of so many 16 kHz samples becomes."""
        return audio_token_count(samples)

    def features(self, samples: NDArray[np.float32]) -> torch.Tensor:
        """Log-mel features [bins, frames] of one 16 kHz mono clip whose length is a multiple of 160 samples."""
        extracted = self.extractor(
            samples, sampling_rate=SAMPLE_RATE_HZ, padding=True, truncation=False, return_tensors="pt"
        )
        mel: torch.Tensor = extracted["input_features"][0]
        assert mel.shape[1] == len(samples) // HOP_SAMPLES, "the front end dropped or padded frames"
        return mel

    def chat_text(self, system: str, user: str, audio: bool = True, demonstrations: Sequence[Shown] = ()) -> str:
        """The rendered conversation up to the assistant's turn, with one audio placeholder for each clip.

        `audio` says whether the question has a clip.
        """
        messages: list[dict[str, object]] = [{"role": "system", "content": system}] if system else []
        for one in demonstrations:
            messages += [_user(one.user, one.features is not None), {"role": "assistant", "content": one.response}]
        messages.append(_user(user, audio))
        return str(self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))

    def encode(
        self, system: str, user: str, features: torch.Tensor | None, demonstrations: Sequence[Shown] = ()
    ) -> Encoded:
        """Token ids of one prompt, each audio placeholder expanded to its clip's length; None: no audio."""
        text = self.chat_text(system, user, features is not None, demonstrations)
        earlier = tuple(one.features for one in demonstrations if one.features is not None)
        nothing = torch.zeros(self.extractor.feature_size, 0)
        encoded = Encoded([], nothing if features is None else features, earlier)
        counts = [self.audio_tokens(clip.shape[1] * HOP_SAMPLES) for clip in encoded.clips]
        ids = self.tokenizer.encode(text, add_special_tokens=False)
        placeholders = ids.count(self.audio_token_id)
        assert placeholders == len(counts), f"{placeholders} audio placeholders in the prompt for {len(counts)} clips"
        for token in ids:
            encoded.ids.extend([token] * (counts.pop(0) if token == self.audio_token_id else 1))
        return encoded

    def batch(
        self, prompts: Sequence[Encoded], completions: Sequence[list[int]] | None = None
    ) -> dict[str, torch.Tensor]:
        """Pad to one batch: prompts alone to the left (generation); with completions to the right (training).

        Returns input_ids, attention_mask [batch, tokens], input_features [clips, bins, frames],
        feature_attention_mask [clips, frames], and with completions labels, -100 outside the completion. The clips are
        those of all prompts in a row, mostly one for each.
        Where no prompt has audio, the features and their mask are left out; either all have it or none.
        """
        rows = [p.ids + (completions[i] if completions else []) for i, p in enumerate(prompts)]
        width = max(map(len, rows))
        ids = torch.full((len(rows), width), int(self.tokenizer.pad_token_id))
        mask = torch.zeros_like(ids)
        labels = torch.full_like(ids, -100)
        for i, row in enumerate(rows):
            start = 0 if completions else width - len(row)
            ids[i, start : start + len(row)] = torch.tensor(row)
            mask[i, start : start + len(row)] = 1
            if completions:
                labels[i, len(prompts[i].ids) : len(row)] = torch.tensor(completions[i])
        self._check_audio(ids, prompts)
        inputs = {"input_ids": ids, "attention_mask": mask}
        if clips := [clip for prompt in prompts for clip in prompt.clips]:
            assert all(prompt.clips for prompt in prompts), "prompts with audio and without it share a batch"
            inputs |= _padded(clips)
        return {**inputs, "labels": labels} if completions else inputs

    def _check_audio(self, ids: torch.Tensor, prompts: Sequence[Encoded]) -> None:
        found = (ids == self.audio_token_id).sum(1).tolist()
        wanted = [sum(self.audio_tokens(clip.shape[1] * HOP_SAMPLES) for clip in p.clips) for p in prompts]
        assert found == wanted, f"audio tokens {found} do not match the clips' durations {wanted}"


def _user(text: str, audio: bool) -> dict[str, object]:
    return {"role": "user", "content": [*([{"type": "audio"}] if audio else []), {"type": "text", "text": text}]}


def _padded(clips: Sequence[torch.Tensor]) -> dict[str, torch.Tensor]:
    frames = max(clip.shape[1] for clip in clips)
    features = torch.zeros(len(clips), clips[0].shape[0], frames)
    mask = torch.zeros(len(clips), frames, dtype=torch.long)
    for i, clip in enumerate(clips):
        features[i, :, : clip.shape[1]] = clip
        mask[i, : clip.shape[1]] = 1
    return {"input_features": features, "feature_attention_mask": mask}
