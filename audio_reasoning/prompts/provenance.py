"""Where a prompt that an optimiser wrote comes from."""

from typing import Annotated, Literal

from pydantic import Field

from audio_reasoning.core.typed import Name, Share, Strict

Number = Annotated[int, Field(ge=0, description="a whole number, 0 or more")]
Text = Annotated[str, Field(min_length=1, description="a text")]
Fraction = Annotated[Share, Field(description="a fraction, 0 to 1")]


class Validation(Strict):
    """Accuracy on the questions that the prompt was chosen by, with its 95 % interval, in fractions of one.

    The best of many is the luckiest too: such a score is always `optimistic`, and no measure of the prompt.
    """

    score: Fraction
    low: Fraction
    high: Fraction
    optimistic: Annotated[Literal[True], Field(description="true: the prompt was chosen by this score")]


class Provenance(Strict):
    """How an optimiser came to a prompt.

    `start` is the prompt that it started from, `proposer` the model that wrote the candidates, `model` the one that
    answered under them; `trials` counts candidates tried, `answers` the answers that were asked for.
    """

    optimizer: Text
    start: Annotated[Name, Field(description="the name of a prompt")]
    proposer: Text
    seed: Annotated[int, Field(description="a whole number")]
    trials: Number
    answers: Number
    validation: Annotated[Validation, Field(description="score, low, high and optimistic")]
    model: Text
