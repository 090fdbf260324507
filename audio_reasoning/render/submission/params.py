"""What is submitted to the challenge, typed; `conf/evidence.yaml` documents it."""

from typing import Annotated, Literal

from pydantic import AfterValidator

from audio_reasoning.core.runs import RunName
from audio_reasoning.core.typed import Count, Strict


def _one_answer(name: str) -> str:
    if "@" in name and not name.endswith("@vote"):
        raise ValueError("arms and samples cannot be submitted: give <variant>, <variant>@vote or <model>/<variant>")
    return name


class Submission(Strict):
    """What is submitted to the challenge."""

    run: Annotated[RunName, AfterValidator(_one_answer)]
    max_trace_chars: Count
    empty: Literal["refuse", "allow"]
    missing: Literal["refuse", "empty"]
