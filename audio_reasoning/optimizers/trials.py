"""Follows an optimiser's evaluations: asks each one's questions together when it begins, and keeps its accuracy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from audio_reasoning.core.records import Question
from audio_reasoning.metrics.optimize_results import Trial
from audio_reasoning.optimizers.answers import Answers, response_of
from audio_reasoning.optimizers.border import at_home
from audio_reasoning.optimizers.library import dspy
from audio_reasoning.optimizers.program import Rendering
from audio_reasoning.prompts.prompt import Prompt
from audio_reasoning.tasks.reward import correct


@dataclass(frozen=True)
class Tried:
    """A prompt that was tried, by the program's instruction, and the ids of its new demonstrations' questions."""

    prompt: Prompt
    instruction: str
    demonstrations: tuple[str, ...]


class Trials(dspy.utils.BaseCallback):  # type: ignore[misc]
    """The trials of one search.

    DSPy evaluates question by question. Here all of an evaluation's questions are asked when it begins, so that it
    costs one call of the engine and its answers do not hang on the order in which threads finish; DSPy then finds
    each answer known. `accuracy` is that of the evaluation that runs, over the questions that could be asked.
    """

    def __init__(
        self, answers: Answers, rendering: Rendering, train: Sequence[Question], validation: Sequence[Question]
    ) -> None:
        self._answers, self._rendering = answers, rendering
        self._questions = {question.id: question for question in (*train, *validation)}
        self._validation = {question.id for question in validation}
        self.tried: list[Tried] = []
        self.trials: list[Trial] = []
        self.accuracy = 0.0

    def on_evaluate_start(self, call_id: str, instance: Any, inputs: Mapping[str, Any]) -> None:
        """Ask all that an evaluation will, and note what comes of it."""
        with at_home():
            [predictor] = inputs["program"].predictors()
            self._try(predictor.signature.instructions, predictor.demos, inputs["devset"] or instance.devset)

    def _try(self, instruction: str, demos: Sequence[Any], examples: Sequence[Any]) -> None:
        questions = [self._questions[example.audio.question_id] for example in examples]
        requests = [self._rendering.request(instruction, demos, example.inputs()) for example in examples]
        results = self._answers.ask(requests)
        responses = [response_of(question, result) for question, result in zip(questions, results, strict=True)]
        right = [
            correct(question, response)
            for question, response in zip(questions, responses, strict=True)
            if response.status != "error"
        ]
        self.accuracy = fmean(right) if right else 0.0
        shown = tuple(demo["audio"].question_id for demo in demos)
        tried = Tried(self._rendering.prompt(instruction, demos), instruction, shown)
        if tried not in self.tried:
            self.tried.append(tried)
        whole = {question.id for question in questions} == self._validation
        best = max([trial.score for trial in self.trials if trial.whole] + [self.accuracy] * whole, default=0.0)
        self.trials.append(
            Trial(
                number=len(self.trials) + 1,
                candidate=self.tried.index(tried),
                score=round(self.accuracy, 4),
                questions=len(right),
                whole=whole,
                best=round(best, 4),
                answers=self._answers.asked,
            )
        )

    def best(self) -> int:
        """The place of what had the highest accuracy on all validation questions, the first of equals."""
        return max((trial for trial in self.trials if trial.whole), key=lambda trial: trial.score).candidate
