"""What every group of parameters is made of."""

from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Item = TypeVar("Item")


def unique(values: list[Item]) -> list[Item]:
    """The list itself; raise ValueError when something is in it twice."""
    for value in values:
        if values.count(value) > 1:
            raise ValueError(f"{value!r} is listed twice")
    return values


Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Fraction = Annotated[float, Field(gt=0, le=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Names = Annotated[list[Name], Field(min_length=1), AfterValidator(unique)]
Variants = Annotated[list[Name], AfterValidator(unique)]  # may be empty: none
Count = Annotated[int, Field(ge=1)]
Samples = Annotated[int, Field(ge=1, le=256)]  # of one question
Positive = Annotated[float, Field(gt=0)]


class Strict(BaseModel):
    """Refuses unknown keys and silent conversions ("8" is not 8)."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Part(Strict):
    """Some keys of a group, for stages that need no others: a change of those does not concern them.

    The others are passed over; a mistyped one is found where the group is whole (stages/project.py), before any stage.
    """

    model_config = ConfigDict(extra="ignore")
