"""What is found out and written under metrics/: typed, one way to read it and one to write it.

Figures are fractions of one; `low` and `high` bound a 95 % interval. A field that has a default is left out of a file
where it was never set, so that a key is there only where there is something to tell.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import read_json, write_json

Kind = TypeVar("Kind")
Manifest = dict[str, Any]  # what made some answers, as the stage that asked wrote it

Verdict = Literal["better", "worse", "not distinguishable", "exploratory", "no verdict"]
BETTER: Verdict = "better"
WORSE: Verdict = "worse"
SAME: Verdict = "not distinguishable"
EXPLORATORY: Verdict = "exploratory"  # nobody declared the comparison
NO_VERDICT: Verdict = "no verdict"  # one of the runs has no answer at all

EXPECTED = {  # by pydantic's names of what is wrong
    "string_type": "a text",
    "float_type": "a number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
}


class Result(BaseModel):
    """Figures that never change once they are found; keys that are not known, of another version, are passed over."""

    model_config = ConfigDict(frozen=True, strict=True, populate_by_name=True)


class Compared(Result):
    """Run b against run a on the same `n` questions: the fields of a Comparison, as they are written."""

    a: str
    b: str
    n: int
    difference: float  # b - a
    low: float
    high: float
    p: float
    only_a: int
    only_b: int
    method: str


class Adjusted(Compared):
    """A comparison as one of a family: `p_holm` is None where it is exploratory.

    `detectable` is the smallest true difference that such a test finds in 80 % of runs, at the level that it has within
    the family.
    """

    p_holm: float | None
    detectable: float

    @property
    def decisive_p(self) -> float:
        """The p that a verdict goes by; as it is, where there is none."""
        return self.p if self.p_holm is None else self.p_holm


class Judged(Adjusted):
    """A comparison with its verdict, and `verdict_text`, the same with what the test could have seen.

    `p_equivalence`, of two one-sided tests that the difference lies within the margin, is Holm-adjusted like `p_holm`.
    """

    p_equivalence: float | None
    verdict: Verdict
    verdict_text: str

    @property
    def decided(self) -> bool:
        """Whether it is called better or worse."""
        return self.verdict in (BETTER, WORSE)

    def mirrored(self) -> "Judged":
        """The same told the other way round: a against b."""
        verdict = {BETTER: WORSE, WORSE: BETTER}.get(self.verdict, self.verdict)
        turned = {
            "a": self.b,
            "b": self.a,
            "difference": -self.difference,
            "low": -self.high,
            "high": -self.low,
            "only_a": self.only_b,
            "only_b": self.only_a,
            "verdict": verdict,
            "verdict_text": self.verdict_text.replace(self.verdict, verdict, 1),
        }
        return self.model_copy(update=turned)


def between(rows: Iterable[Judged], a: str, b: str) -> Judged | None:
    """The comparison of run `b` with run `a` among `rows`, whichever way round it is there; None where it is not."""
    for row in rows:
        if (row.a, row.b) == (a, b):
            return row
        if (row.a, row.b) == (b, a):
            return row.mirrored()
    return None


class Group(Result):
    """A comparison within one group of questions; without any question there are no figures."""

    name: str
    n: int
    acc_a: float | None
    acc_b: float | None
    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    q: float | None  # Benjamini-Hochberg over the groups
    only_a: int | None
    only_b: int | None

    def significant(self, rate: float) -> bool:
        """Whether q is below the false discovery rate."""
        return self.q is not None and self.q < rate


class Breakdown(Result):
    """A comparison within each group of a breakdown: how many improve, and which surely `rise` or `fall`."""

    improves: int
    worsens: int
    rise: list[str]
    fall: list[str]
    rows: list[Group]

    @property
    def tested(self) -> int:
        """How many groups have any question."""
        return sum(row.n > 0 for row in self.rows)


class Contrast(Judged):
    """A declared comparison of two runs, with both accuracies and its sub-categories."""

    acc_a: float
    acc_b: float
    sub_category: Breakdown

    @property
    def whole(self) -> Judged:
        """The comparison on all questions alone."""
        return Judged(**self.model_dump(include={*Judged.model_fields}))


class Summary(Result):
    """metrics/summary.json: the best variant, each against the first, and the declared contrasts.

    `versus_parent` are the variants beside the prompts that they were made from, where these are variants too.
    """

    profile: str
    best: str
    best_acc_strict: float
    versus_baseline: list[Judged]
    versus_parent: list[Judged] = Field(default_factory=list)
    contrasts: list[Contrast]
    notes: list[str]

    def other_contrasts(self, first: str) -> list[Contrast]:
        """The declared contrasts that are not of a variant with the first one, whichever way round."""
        shown = [{first, row.b} for row in self.versus_baseline]
        return [row for row in self.contrasts if {row.a, row.b} not in shown]

    def between(self, a: str, b: str) -> Judged | None:
        """The comparison of run `b` with run `a`; None where they have not been compared."""
        return between([*self.contrasts, *self.versus_baseline, *self.versus_parent], a, b)


class Accuracy(Result):
    """Both accuracies of a group of questions, with Wilson's intervals; `low` and `high` are those of `acc_strict`."""

    by: str
    name: str
    n: int
    acc_strict: float
    acc_official: float
    low: float
    high: float
    official_low: float
    official_high: float


class Metrics(Result):
    """What `score` says of a set of predictions; audio_reasoning/metrics/scoring.py explains the keys."""

    acc_strict: float
    acc_official: float
    n: int
    truncated: float
    no_answer: float
    error: float
    missing: float
    thinking_chars: float | None = None
    completion_tokens: float | None = None
    forced: float | None = None
    reasked: float | None = None
    category: dict[str, float]
    sub_category: dict[str, float]
    modality: dict[str, float]
    detail: list[Accuracy] = Field(min_length=1)
    missing_ids: list[str]
    dropped_ids: list[str] = Field(default_factory=list)
    run: list[Manifest] = Field(default_factory=list)

    @property
    def overall(self) -> Accuracy:
        """The row of all questions."""
        return self.detail[0]

    @property
    def failed(self) -> float:
        """The share of responses that hold no answer: truncated, none, or an error."""
        return self.truncated + self.no_answer + self.error


class OfVariant(Result):
    """What is said of one prompt variant."""

    variant: str


class AccuracyRow(Result):
    """A group of questions in a long table for plots: of all, or of one category."""

    by: str
    name: str
    low: float
    high: float
    n: int


class VariantAccuracy(OfVariant):
    """A variant's accuracy."""

    acc: float


class VariantRow(AccuracyRow, VariantAccuracy):
    """A row of metrics/compare.json."""


class HeadlineMetrics(Metrics, OfVariant):
    """metrics/headline.json: the metrics to quote, and of which variant."""


def to_json(value: Any) -> Any:
    """A result, or any list or mapping of results, as what `json` writes."""
    if isinstance(value, BaseModel):
        return value.model_dump(by_alias=True, exclude_unset=True)
    if isinstance(value, Mapping):
        return {key: to_json(part) for key, part in value.items()}
    return [to_json(part) for part in value] if isinstance(value, list | tuple) else value


def write_result(path: Path, value: Any) -> None:
    """Write results as a metrics file."""
    write_json(path, to_json(value))


def read_result(path: Path, kind: type[Kind]) -> Kind:
    """Read a metrics file; UserError with file and key for one that is absent, broken or of another shape."""
    return parse_result(read_json(path), kind, str(path))


def existing_result(path: Path, kind: type[Kind]) -> Kind | None:
    """The same; None where there is no such file."""
    return read_result(path, kind) if path.is_file() else None


def parse_result(value: Any, kind: type[Kind], where: str) -> Kind:
    """JSON as a result; UserError, prefixed by `where`, with the key that is missing or wrong."""
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        first = min(error.errors(), key=lambda one: one["type"] == "missing")  # what is wrong tells more
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"]).removeprefix(".")
    if first["type"] == "missing":
        raise UserError(f"{where}: {key} is missing; `dvc repro` writes the file anew")
    if first["type"] == "too_short":
        expected = f"a list of {first['ctx']['min_length']} or more"
    else:
        expected = EXPECTED.get(first["type"], first["msg"])
    shown = json.dumps(first["input"], default=str)[:60]
    place = f"{key} must be" if key else "must hold"
    raise UserError(f"{where}: {place} {expected}, found {shown}; `dvc repro` writes the file anew")
