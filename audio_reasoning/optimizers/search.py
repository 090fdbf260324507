"""One search for a prompt: what it starts from, what it may ask, and what it has tried."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from audio_reasoning.core.records import Question, Response
from audio_reasoning.optimizers.answers import Answers
from audio_reasoning.optimizers.library import dspy
from audio_reasoning.optimizers.metric import feedback
from audio_reasoning.optimizers.params import SearchParams
from audio_reasoning.optimizers.program import Rendering, example_of, program_of
from audio_reasoning.optimizers.proposers.proposer import Proposals, Proposer
from audio_reasoning.optimizers.trials import Trials
from audio_reasoning.prompts.registry import Prompt


class Search:
    """What an optimiser works with.

    `outcomes` has the start's responses to the train questions, in their order, which proposals may see; `in_silence`
    the choices that it made of silence in place of their clips, by question, where that was asked.
    """

    def __init__(
        self,
        params: SearchParams,
        start: Prompt,
        train: Sequence[Question],
        validation: Sequence[Question],
        answers: Answers,
        proposer: Proposer,
        outcomes: Sequence[Response],
        in_silence: Mapping[str, int | None],
    ) -> None:
        self.params, self.in_silence = params, in_silence
        self.rendering = Rendering(start, params.demonstrations.audio)
        self.program = program_of(self.rendering)
        self.model: Any = dspy.LM("model", engine=answers, cache=False, num_retries=0)
        self.trials = Trials(answers, self.rendering, train, validation)
        self.proposals = Proposals(proposer, params.seed, known=[self.rendering.shown])
        self._questions = {question.id: question for question in (*train, *validation)}
        self._validation, self._selecting = validation, {question.id for question in validation}
        self._train = [*zip(train, outcomes, strict=True)]

    @cached_property
    def train_examples(self) -> list[Any]:
        """The train questions, with the right choice and what the start made of them."""
        return [
            example_of(
                question,
                right=question.choices[question.answer],
                outcome=feedback(question, response, self.in_silence),
            )
            for question, response in self._train
        ]

    @cached_property
    def validation_examples(self) -> list[Any]:
        """The validation questions, of which a proposer sees nothing."""
        return [example_of(question) for question in self._validation]

    def question_of(self, example: Any) -> Question:
        """The question that an example was made of."""
        return self._questions[example.audio.question_id]

    def is_validation(self, question: Question) -> bool:
        """Whether plain accuracy on the question selects."""
        return question.id in self._selecting
