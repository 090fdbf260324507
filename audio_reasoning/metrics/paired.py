"""Two runs on the same questions, compared question by question: as a whole, and within groups of questions."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from statistics import fmean
from typing import Any, Literal, TypeVar

from audio_reasoning.core.records import Comparison, Question
from audio_reasoning.metrics.inputs import Questions, Samples
from audio_reasoning.metrics.resampling import Resampling
from audio_reasoning.metrics.results import (
    BETTER,
    EXPLORATORY,
    NO_VERDICT,
    SAME,
    WORSE,
    Adjusted,
    Breakdown,
    Compared,
    Group,
    Judged,
    Result,
    Verdict,
    to_json,
)
from audio_reasoning.metrics.scoring import BREAKDOWNS, score_question
from audio_reasoning.metrics.stats import ALPHA, benjamini_hochberg, compare_runs, detectable, equivalence_p, holm

NO_ANSWER = "no verdict: one of the runs has no answer at all"

Figures = TypeVar("Figures")


@dataclass(frozen=True)
class Method:
    """How runs are compared; the defaults are those of `conf/evidence.yaml`."""

    resamples: int = 10_000  # of the bootstrap by clip
    seed: int = 0
    false_discovery_rate: float = 0.1  # over the groups of one breakdown
    margin: float = 0.02  # a difference within it does no harm


def method_of(compare: Resampling | Mapping[str, Any]) -> Method:
    """The method that the group `compare` of the parameters asks for.

    What a stage has not declared of the group, or an older revision does not know, keeps its default.
    """
    values = compare if isinstance(compare, Mapping) else vars(compare)
    return Method(**{field.name: values[field.name] for field in fields(Method) if field.name in values})


@dataclass(frozen=True)
class Pair:
    """Run b beside run a: a score in [0, 1] for each question under both, in the same order."""

    a: str
    b: str
    scores_a: Sequence[float]
    scores_b: Sequence[float]


def scores_of(samples: Samples, questions: Questions, score: Literal["strict", "official"] = "strict") -> list[float]:
    """The score of each question in order: the mean over its samples."""
    scores = [score_question(question, samples[name]) for name, question in questions.items()]
    return [scored.official if score == "official" else scored.strict for scored in scores]


def none_answered(samples: Samples) -> bool:
    """Whether no response to any question holds an answer: what such a run scores is no accuracy."""
    return not any(sample.response.status == "ok" for responses in samples.values() for sample in responses)


def whole(pair: Pair, questions: Sequence[Question], method: Method) -> Comparison:
    """Compare a pair on all questions."""
    groups = [question.group for question in questions]
    return compare_runs(
        pair.a, pair.b, pair.scores_a, pair.scores_b, groups, resamples=method.resamples, seed=method.seed
    )


def broken_down(
    pair: Pair, questions: Sequence[Question], by: str, method: Method, names: Collection[str] = ()
) -> Breakdown:
    """Compare a pair within each group of a breakdown, by name; `names` adds groups that may have no question."""
    members: dict[str, list[int]] = {name: [] for name in names}
    for index, question in enumerate(questions):
        members.setdefault(BREAKDOWNS[by](question), []).append(index)
    within = {name: _within(pair, questions, inside, method) for name, inside in sorted(members.items()) if inside}
    q_values = dict(zip(within, benjamini_hochberg([group.p for group in within.values()]), strict=True))
    rows = [_group(name, pair, members[name], within.get(name), q_values.get(name)) for name in sorted(members)]
    significant = [(row.name, row.difference or 0.0) for row in rows if row.significant(method.false_discovery_rate)]
    differences = [row.difference or 0.0 for row in rows]
    return Breakdown(
        improves=sum(difference > 0 for difference in differences),
        worsens=sum(difference < 0 for difference in differences),
        rise=[name for name, difference in significant if difference > 0],
        fall=[name for name, difference in significant if difference < 0],
        rows=rows,
    )


def _within(pair: Pair, questions: Sequence[Question], inside: Sequence[int], method: Method) -> Comparison:
    scores = ([scores[i] for i in inside] for scores in (pair.scores_a, pair.scores_b))
    return whole(Pair(pair.a, pair.b, *scores), [questions[i] for i in inside], method)


def _group(name: str, pair: Pair, inside: Sequence[int], comparison: Comparison | None, q: float | None) -> Group:
    keys = ("difference", "low", "high", "p", "only_a", "only_b")
    figures = {key: getattr(comparison, key, None) for key in keys}
    acc_a, acc_b = (
        round(fmean(scores[i] for i in inside), 4) if inside else None for scores in (pair.scores_a, pair.scores_b)
    )
    return rounded(Group(name=name, n=len(inside), acc_a=acc_a, acc_b=acc_b, q=q, **figures))


def adjusted(comparisons: Sequence[Comparison]) -> list[Adjusted]:
    """The comparisons of one family, with `p_holm` and `detectable` for so many of them."""
    p_holm = holm([comparison.p for comparison in comparisons])
    return [
        rounded(Adjusted(**vars(comparison), p_holm=p, detectable=detectable(comparison, len(comparisons))))
        for comparison, p in zip(comparisons, p_holm, strict=True)
    ]


def judged(
    pairs: Sequence[Pair], questions: Sequence[Question], method: Method, unread: Collection[str] = ()
) -> list[Judged]:
    """Compare the pairs of one declared family, each with its verdict; `unread` names runs without any answer."""
    groups = [question.group for question in questions]
    equivalence = [equivalence_p(pair.scores_a, pair.scores_b, groups, method.margin) for pair in pairs]
    rows = adjusted([whole(pair, questions, method) for pair in pairs])
    return [
        _judged(row, rounded(p), NO_VERDICT if {row.a, row.b} & {*unread} else verdict(row), len(pairs), method.margin)
        for row, p in zip(rows, holm(equivalence), strict=True)
    ]


def _judged(row: Adjusted, p_equivalence: float, called: Verdict, tests: int, margin: float) -> Judged:
    text = verdict_text(called, row.detectable, p_equivalence, tests, margin)
    return Judged(**to_json(row), p_equivalence=p_equivalence, verdict=called, verdict_text=text)


def explored(pair: Pair, questions: Sequence[Question], method: Method, p_equivalence: float | None = None) -> Judged:
    """Compare a pair that nobody declared: no adjustment, and no verdict."""
    [row] = adjusted([whole(pair, questions, method)])
    figures = {**to_json(row), "p_holm": None, "p_equivalence": rounded(p_equivalence)}
    return Judged(**figures, verdict=EXPLORATORY, verdict_text=EXPLORATORY)


def verdict(row: Adjusted) -> Verdict:
    """Better or worse only where the adjusted p is below 0.05 *and* the interval excludes zero."""
    if row.decisive_p < ALPHA and row.low > 0:
        return BETTER
    return WORSE if row.decisive_p < ALPHA and row.high < 0 else SAME


def verdict_text(called: Verdict, can_see: float, p_equivalence: float, tests: int, margin: float) -> str:
    """A verdict in words: what the test could have seen, and whether the difference is shown to be harmless."""
    if called == NO_VERDICT:
        return NO_ANSWER
    text: str = called
    if called == SAME:
        which = "this test" if tests == 1 else f"this test, one of {tests},"
        text += f": {which} can see {100 * can_see:.1f} points"
    if p_equivalence < ALPHA:
        text += f"; within ±{100 * margin:.1f} points: no harm"
    return text


def compared(comparison: Comparison) -> Compared:
    """A comparison as it is written."""
    return Compared(**vars(comparison))


def rounded(value: Figures) -> Figures:
    """Figures to six significant digits: what is written does not hang on the last bits of a machine."""
    result: Figures = _rounded(value)
    return result


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, Result):
        return type(value).model_validate(_rounded(to_json(value)))
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    return [_rounded(part) for part in value] if isinstance(value, list) else value
