"""How the gate asks a model that it may accept, and the one that it compares it with."""

import gc
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

import torch

from audio_reasoning.algorithms.recipe import GatePart
from audio_reasoning.core.records import Question, Rollout
from audio_reasoning.engines.answer import answer_questions
from audio_reasoning.engines.engine import Decoding, Setup
from audio_reasoning.prompts.registry import Prompt
from audio_reasoning.tasks.extract import read_answer
from audio_reasoning.tasks.reward import correct

Tokens = tuple[int, ...]  # of one completion


@dataclass(frozen=True)
class Model:
    """What is asked: the base model with an adapter, or without."""

    name: str
    adapter: Path | None


@dataclass(frozen=True)
class Judge:
    """How models are asked: an engine's set-up, of which the backend and the adapter are the gate's, and the prompt."""

    setup: Setup
    part: GatePart
    prompt: Prompt

    def scores(self, model: Model, questions: Sequence[Question], temperature: float, n: int) -> list[float]:
        """The share of right samples of each question."""
        decoding = self._decoding(temperature, n, self.part.generate.max_tokens)
        rollouts = self._ask(model, questions, self.part.gate.backend, decoding)
        return [
            fmean(
                correct(question, read_answer(rollout, question.choices)) for rollout in rollouts[i * n : (i + 1) * n]
            )
            for i, question in enumerate(questions)
        ]

    def tokens(self, model: Model, questions: Sequence[Question], backend: str) -> list[Tokens]:
        """Each question's greedy completion; a model that was loaded for it is gone afterwards."""
        limit = min(self.part.gate.parity_tokens, self.part.generate.max_tokens)
        rollouts = self._ask(model, questions, backend, self._decoding(0.0, 1, limit))
        if torch.cuda.is_available():
            gc.collect()
            torch.cuda.empty_cache()
        assert all(rollout.completion_token_ids for rollout in rollouts), f"{backend} gave no token ids"
        return [rollout.completion_token_ids or () for rollout in rollouts]

    def _ask(self, model: Model, questions: Sequence[Question], backend: str, decoding: Decoding) -> list[Rollout]:
        setup = replace(self.setup, backend=backend, adapter=model.adapter)
        return answer_questions(questions, self.prompt, setup, decoding, keep_ids=True)[0]

    def _decoding(self, temperature: float, n: int, max_tokens: int) -> Decoding:
        top_p = 1.0 if temperature == 0 else self.part.generate.top_p
        return Decoding(temperature=temperature, top_p=top_p, max_tokens=max_tokens, n=n, seed=self.part.seed)
