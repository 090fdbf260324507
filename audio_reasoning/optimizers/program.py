"""The program that is optimised: one question about one clip, rendered as every prompt of the project is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from audio_reasoning.core.records import NO_AUDIO, Audio, Question
from audio_reasoning.engines.demonstrations import exchanges
from audio_reasoning.engines.engine import Request
from audio_reasoning.optimizers.instructions import shown
from audio_reasoning.optimizers.library import dspy
from audio_reasoning.optimizers.wire import to_lm
from audio_reasoning.prompts.prompt import Demonstration, Prompt


@dataclass(frozen=True)
class Clip:
    """The recording of a question, which a program hears and no text shows; None where it is asked without."""

    question_id: str
    audio: Audio | None

    def __repr__(self) -> str:
        return f"a recording of {self.audio.duration_s:.1f} s" if self.audio else "no recording"


class AudioMCQ(dspy.Signature):  # type: ignore[misc]
    """Answer the multiple-choice question about the recording."""

    question: str = dspy.InputField(desc="what is asked about the recording")
    choices: list[str] = dspy.InputField(desc="one of them is right")
    audio: Clip = dspy.InputField(desc="the recording, which the model hears")
    answer: str = dspy.OutputField(desc="all that the model writes: its thinking, then ANSWER: and one of the choices")


class AnswerQuestion(dspy.Module):  # type: ignore[misc]
    """Ask an audio language model one multiple-choice question about one recording."""

    def __init__(self, signature: type[AudioMCQ], rendering: "Rendering") -> None:
        super().__init__()
        self.answer = dspy.Predict(signature)
        self.rendering = rendering

    def forward(self, question: str, choices: list[str], audio: Clip) -> Any:
        """The model's answer."""
        with dspy.context(adapter=self.rendering):  # which what DSPy asks a proposer must not pass through
            return self.answer(question=question, choices=choices, audio=audio)


def program_of(rendering: "Rendering") -> AnswerQuestion:
    """The program whose instruction is the system text of the prompt that is rendered."""
    return AnswerQuestion(AudioMCQ.with_instructions(rendering.shown), rendering)


def example_of(question: Question, **told: str) -> Any:
    """A question as DSPy takes it; `told` is what a proposer may know of it besides, and the model is not asked with.

    Category, evidence and all other metadata of the benchmark stay behind.
    """
    clip = Clip(question.id, None if question.audio is NO_AUDIO else question.audio)
    asked = dspy.Example(question=question.question, choices=list(question.choices), audio=clip, **told)
    return asked.with_inputs("question", "choices", "audio")


class Rendering(dspy.Adapter):  # type: ignore[misc]
    """Renders a program's inputs with the templates of the prompt `start`, and hands its output on as it came.

    `audio` says whether demonstrations have their clips with them.
    """

    def __init__(self, start: Prompt, audio: bool = False) -> None:
        super().__init__()
        self._start, self._audio, self.shown = start, audio, shown(start)
        self._prompts: dict[tuple[str, tuple[Demonstration, ...]], Prompt] = {}

    def __deepcopy__(self, memo: object) -> "Rendering":
        """Itself: the copies of a program are rendered alike."""
        return self

    def prompt(self, instruction: str, demos: Sequence[Any]) -> Prompt:
        """The prompt with this instruction for its system text, and these demonstrations, if any, for its own.

        The start's own system text is kept letter for letter.
        """
        system = self._start.system if instruction == self.shown else instruction
        shown_before = tuple(self._demonstration(demo) for demo in demos) or self._start.demonstrations
        if (system, shown_before) not in self._prompts:
            made = replace(self._start, system=system, demonstrations=shown_before)
            self._prompts[system, shown_before] = made
        return self._prompts[system, shown_before]

    def _demonstration(self, demo: Any) -> Demonstration:
        clip: Clip = demo["audio"]
        return Demonstration(
            question=demo["question"],
            choices=tuple(demo["choices"]),
            response=demo["answer"],
            audio=clip.audio if self._audio else None,
        )

    def request(self, instruction: str, demos: Sequence[Any], inputs: Mapping[str, Any]) -> Request:
        """The request to the model: the one that `request_for` makes of the question under the resulting prompt."""
        clip: Clip = inputs["audio"]
        prompt = self.prompt(instruction, demos)
        system, user = prompt.render(inputs["question"], tuple(inputs["choices"]))
        before = exchanges(prompt, clip.audio is not None)
        return Request(clip.question_id, system, user, clip.audio, demonstrations=before)

    def __call__(
        self, lm: Any, lm_kwargs: Mapping[str, Any], signature: Any, demos: Sequence[Any], inputs: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        """The output, with why it ended, and why there is none."""
        response = lm(to_lm(self.request(signature.instructions, demos, inputs), lm.model))
        return [{"answer": response.text or "", **response.provider_data}]
