"""The one reward: evaluation, self-training and reinforcement learning all call a response right by this function."""

from audio_reasoning.core.records import Question, Response


def correct(question: Question, response: Response) -> bool:
    """Whether `response` chose the right choice. Truncated, unanswered and failed responses are wrong."""
    return response.status == "ok" and response.answer == question.answer
