"""How the gate asks a model that it may accept, and the one that it compares it with."""

import gc
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from audio_reasoning.algorithms.rest.params import Rest
from audio_reasoning.core.files import BASE_MODEL
from audio_reasoning.core.records import Question, Response
from audio_reasoning.engines.answer import answer_questions
from audio_reasoning.engines.params import Asking, Infer
from audio_reasoning.prompts.registry import Prompt
from audio_reasoning.tasks.reward import correct

Tokens = tuple[int, ...]  # of one completion


@dataclass(frozen=True)
class Model:
    """What is asked: the base model with an adapter, or without."""

    name: str
    adapter: Path | None


@dataclass(frozen=True)
class Judge:
    """How models are asked: the parameters, of which `rest` decides all that is decoded, and the prompt."""

    params: Asking
    rest: Rest
    prompt: Prompt

    def scores(self, model: Model, questions: Sequence[Question], temperature: float, n: int) -> list[float]:
        """The share of right samples of each question."""
        decoding = self._decoding(self.rest.gate.backend, temperature, n, self.rest.generate.max_tokens)
        responses = self._ask(model, questions, decoding)
        return [
            fmean(correct(question, response) for response in responses[i * n : (i + 1) * n])
            for i, question in enumerate(questions)
        ]

    def tokens(self, model: Model, questions: Sequence[Question], backend: str) -> list[Tokens]:
        """Each question's greedy completion; a model that was loaded for it is gone afterwards."""
        limit = min(self.rest.gate.parity_tokens, self.rest.generate.max_tokens)
        responses = self._ask(model, questions, self._decoding(backend, 0.0, 1, limit))
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        assert all(response.completion_token_ids for response in responses), f"{backend} gave no token ids"
        return [response.completion_token_ids or () for response in responses]

    def _ask(self, model: Model, questions: Sequence[Question], decoding: Infer) -> list[Response]:
        asking = self.params.model_copy(update={"infer": decoding})
        return answer_questions(questions, self.prompt, BASE_MODEL, asking, keep_ids=True, adapter=model.adapter)[0]

    def _decoding(self, backend: Any, temperature: float, n: int, max_tokens: int) -> Infer:
        return Infer(
            backend=backend,
            temperature=temperature,
            top_p=1.0 if temperature == 0 else self.rest.generate.top_p,
            max_tokens=max_tokens,
            n=n,
            seed=self.rest.seed,
            endpoint_model="",
            max_error_rate=0.0,
        )
