"""What an optimiser maximises: the one reward, and for reflection a grade with words."""

from collections.abc import Mapping
from typing import Any

from audio_reasoning.core.records import Question, Response, Rollout
from audio_reasoning.tasks.extract import read_answer
from audio_reasoning.tasks.reward import correct

RIGHT, WRONG, UNREADABLE = 1.0, 0.1, 0.0  # a wrong choice in the right form is nearer than no choice


def response_in(question: Question, prediction: Any) -> Response:
    """What a program's output says, read as it is when it is scored."""
    rollout = Rollout(question.id, 0, prediction.answer, prediction.finish_reason, 0, 0, error=prediction.error)
    return read_answer(rollout, question.choices)


def grade(question: Question, response: Response) -> float:
    """How good a response is for reflection, where the form of an answer has to be learnt too."""
    if correct(question, response):
        return RIGHT
    return WRONG if response.status == "ok" else UNREADABLE


def feedback(question: Question, response: Response, in_silence: Mapping[str, int | None]) -> str:
    """What was right or wrong about a response, for whoever writes the next instruction.

    `in_silence` has the choice that the start made of silence in place of the clip, None for none, by question.
    """
    right = question.choices[question.answer]
    if response.status == "error":
        return "The model could not be asked; nothing follows from this example."
    if response.status == "truncated":
        told = f"No answer: the response was cut off before it came to one. Right is: {right}"
    elif response.answer is None:
        told = (
            f"No answer could be read ({response.extraction}): the response must end with a line ANSWER: and one of "
            f"the choices, word for word. Right is: {right}"
        )
    elif correct(question, response):
        told = f"Right: {right}"
    else:
        told = f"Wrong: {question.choices[response.answer]}. Right is: {right}"
    if response.answer is not None and in_silence.get(question.id) == response.answer:
        told += "\nThe same choice was made of silence in place of the recording, so it may be no more than a guess."
    return told
