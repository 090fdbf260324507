"""Answers of the model whose prompt is optimised: asked for many at once, and each only once."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from audio_reasoning.core.records import Question, Response
from audio_reasoning.engines.answer import check_audio_tokens, check_errors, request_for, rollouts_of
from audio_reasoning.engines.answers import ChatResult
from audio_reasoning.engines.cached import Cached
from audio_reasoning.engines.engine import Decoding, Request
from audio_reasoning.optimizers.border import at_home
from audio_reasoning.optimizers.wire import answered, from_lm
from audio_reasoning.prompts.registry import Prompt
from audio_reasoning.tasks.extract import read_answer


class Answers:
    """What an engine, with the model in the folder `model`, answers under one decoding.

    A request that failed has an error for a result, which is no wrong answer.
    `on_asked(n)` is called with how many requests have been answered, those in a cache included. `asked`,
    `prompt_tokens` and `completion_tokens` count the same, and so do not depend on what was cached.
    """

    def __init__(
        self,
        engine: Cached,
        decoding: Decoding,
        max_error_rate: float,
        model: Path,
        on_asked: Callable[[int], object] = lambda n: None,
    ) -> None:
        self._engine, self._decoding, self._model = engine, decoding, model
        self._allowed, self._on_asked = max_error_rate, on_asked
        self._known: dict[Request, ChatResult] = {}
        self.asked = self.prompt_tokens = self.completion_tokens = 0

    def ask(self, requests: Sequence[Request]) -> list[ChatResult]:
        """One answer to each request; all that are new are asked together.

        Raises UserError as the engine does, and when more of the new ones fail than may.
        """
        new = [*dict.fromkeys(request for request in requests if request not in self._known)]
        if new:
            results = self._engine.generate(new, self._decoding, lambda *_: self._on_asked(1))
            check_errors(
                [(request.id, result.error) for request, result in zip(new, results, strict=True)], self._allowed
            )
            check_audio_tokens(new, results, self._model)
            for request, result in zip(new, results, strict=True):
                self._known[request] = result
                self.asked += 1
                self.prompt_tokens += result.prompt_tokens
                self.completion_tokens += sum(sample.completion_tokens or 0 for sample in result.samples)
        return [self._known[request] for request in requests]

    def responses(self, questions: Sequence[Question], prompt: Prompt) -> list[Response]:
        """What the answers to questions under a prompt say; raises as `ask` does."""
        results = self.ask([request_for(question, prompt) for question in questions])
        return [response_of(question, result) for question, result in zip(questions, results, strict=True)]

    def complete(self, request: Any) -> Any:
        """One answer to a request of DSPy's: what makes this an engine for `dspy.LM`."""
        with at_home():
            [result] = self.ask([from_lm(request)])
            return answered(result, request.model)


def response_of(question: Question, result: ChatResult) -> Response:
    """What one answer says, read as it is when it is scored."""
    [rollout] = rollouts_of(question.id, result, 1, keep_ids=False)
    return read_answer(rollout, question.choices)
