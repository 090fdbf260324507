"""Two runs on the same questions, compared question by question: as a whole, and within groups of questions.

What is written about a comparison is a dict: the fields of `Comparison`, and

- `p_holm`, adjusted over the family of declared comparisons (None where it is exploratory), and `detectable`, the
  smallest true difference that such a test finds in 80 % of runs, at the level that it has within the family;
- `p_equivalence`, of two one-sided tests that the difference lies within `margin`, Holm-adjusted likewise;
- `verdict`, one of the five below, and `verdict_text`, the same with what the test could have seen.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from statistics import fmean
from typing import Any, Literal

from audio_reasoning.core.records import Comparison, Question
from audio_reasoning.metrics.compare_params import Compare
from audio_reasoning.metrics.inputs import Questions, Samples
from audio_reasoning.metrics.scoring import BREAKDOWNS, score_question
from audio_reasoning.metrics.stats import ALPHA, benjamini_hochberg, compare_runs, detectable, equivalence_p, holm

# The verdicts.
BETTER, WORSE, SAME = "better", "worse", "not distinguishable"
EXPLORATORY, NO_VERDICT = "exploratory", "no verdict"
NO_ANSWER = "no verdict: one of the runs has no answer at all"


@dataclass(frozen=True)
class Method:
    """How runs are compared; the defaults are those of `conf/evidence.yaml`."""

    resamples: int = 10_000  # of the bootstrap by clip
    seed: int = 0
    false_discovery_rate: float = 0.1  # over the groups of one breakdown
    margin: float = 0.02  # a difference within it does no harm


def method_of(compare: Compare | Mapping[str, Any]) -> Method:
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


@dataclass(frozen=True)
class Part:
    """A pair within one group of questions; without any question there are no figures."""

    name: str
    n: int
    acc_a: float | None
    acc_b: float | None
    comparison: Comparison | None


def scores_of(samples: Samples, questions: Questions, score: Literal["strict", "official"] = "strict") -> list[float]:
    """The score of each question in order: the mean over its samples."""
    scores = [score_question(question, samples[name]) for name, question in questions.items()]
    return [found.official if score == "official" else found.strict for found in scores]


def none_answered(samples: Samples) -> bool:
    """Whether no response to any question holds an answer: what such a run scores is no accuracy."""
    return not any(sample.response.status == "ok" for found in samples.values() for sample in found)


def whole(pair: Pair, questions: Sequence[Question], method: Method) -> Comparison:
    """Compare a pair on all questions."""
    groups = [question.group for question in questions]
    return compare_runs(
        pair.a, pair.b, pair.scores_a, pair.scores_b, groups, resamples=method.resamples, seed=method.seed
    )


def within(
    pair: Pair, questions: Sequence[Question], by: str, method: Method, names: Collection[str] = ()
) -> list[Part]:
    """Compare a pair within each group of a breakdown, by name; `names` adds groups that may have no question."""
    members: dict[str, list[int]] = {name: [] for name in names}
    for index, question in enumerate(questions):
        members.setdefault(BREAKDOWNS[by](question), []).append(index)
    parts = []
    for name, own in sorted(members.items()):
        if not own:
            parts.append(Part(name, 0, None, None, None))
            continue
        a, b = [pair.scores_a[i] for i in own], [pair.scores_b[i] for i in own]
        comparison = whole(Pair(pair.a, pair.b, a, b), [questions[i] for i in own], method)
        parts.append(Part(name, len(own), round(fmean(a), 4), round(fmean(b), 4), comparison))
    return parts


def adjusted(comparisons: Sequence[Comparison]) -> list[dict[str, Any]]:
    """The comparisons of one family as they are written, with `p_holm` and `detectable` for so many of them."""
    p_holm = holm([comparison.p for comparison in comparisons])
    return [
        rounded({**asdict(comparison), "p_holm": p, "detectable": detectable(comparison, len(comparisons))})
        for comparison, p in zip(comparisons, p_holm, strict=True)
    ]


def judged(
    pairs: Sequence[Pair], questions: Sequence[Question], method: Method, unread: Collection[str] = ()
) -> list[dict[str, Any]]:
    """Compare the pairs of one declared family, each with its verdict; `unread` names runs without any answer."""
    comparisons = [whole(pair, questions, method) for pair in pairs]
    groups = [question.group for question in questions]
    equivalence = [equivalence_p(pair.scores_a, pair.scores_b, groups, method.margin) for pair in pairs]
    rows = []
    for row, p in zip(adjusted(comparisons), holm(equivalence), strict=True):
        row |= rounded({"p_equivalence": p})
        row["verdict"] = NO_VERDICT if {row["a"], row["b"]} & {*unread} else verdict(row)
        row["verdict_text"] = verdict_text(row, len(pairs), method.margin)
        rows.append(row)
    return rows


def explored(pair: Pair, questions: Sequence[Question], method: Method) -> dict[str, Any]:
    """Compare a pair that nobody declared: no adjustment, and no verdict."""
    [row] = adjusted([whole(pair, questions, method)])
    return {**row, "p_holm": None, "p_equivalence": None, "verdict": EXPLORATORY, "verdict_text": EXPLORATORY}


def mirrored(row: dict[str, Any]) -> dict[str, Any]:
    """The same judged comparison told the other way round: a against b."""
    turned = {BETTER: WORSE, WORSE: BETTER}.get(row["verdict"], row["verdict"])
    return {
        **row,
        "a": row["b"],
        "b": row["a"],
        "difference": -row["difference"],
        "low": -row["high"],
        "high": -row["low"],
        "only_a": row["only_b"],
        "only_b": row["only_a"],
        "verdict": turned,
        "verdict_text": row["verdict_text"].replace(row["verdict"], turned, 1),
    }


def broken_down(parts: Sequence[Part], method: Method) -> dict[str, Any]:
    """The groups of one breakdown with `q` (Benjamini-Hochberg over them), how many improve, and which surely do."""
    q_values = iter(benjamini_hochberg([part.comparison.p for part in parts if part.comparison]))
    rows = []
    for part in parts:
        row = {"name": part.name, "n": part.n, "acc_a": part.acc_a, "acc_b": part.acc_b}
        found = {"q": next(q_values), **asdict(part.comparison)} if part.comparison else {}
        kept = ("difference", "low", "high", "p", "q", "only_a", "only_b")
        rows.append({**row, **rounded({key: found.get(key) for key in kept})})
    certain = [row for row in rows if row["n"] and row["q"] < method.false_discovery_rate]
    return {
        "improves": sum(row["n"] > 0 and row["difference"] > 0 for row in rows),
        "worsens": sum(row["n"] > 0 and row["difference"] < 0 for row in rows),
        "rise": [row["name"] for row in certain if row["difference"] > 0],
        "fall": [row["name"] for row in certain if row["difference"] < 0],
        "rows": rows,
    }


def verdict(row: dict[str, Any]) -> str:
    """Better or worse only where the adjusted p is below 0.05 *and* the interval excludes zero."""
    if row["p_holm"] < ALPHA and row["low"] > 0:
        return BETTER
    return WORSE if row["p_holm"] < ALPHA and row["high"] < 0 else SAME


def verdict_text(row: dict[str, Any], tests: int, margin: float) -> str:
    """A verdict in words: what the test could have seen, and whether the difference is shown to be harmless."""
    if row["verdict"] == NO_VERDICT:
        return NO_ANSWER
    text: str = row["verdict"]
    if text == SAME:
        which = "this test" if tests == 1 else f"this test, one of {tests},"
        text += f": {which} can see {100 * row['detectable']:.1f} points"
    if row["p_equivalence"] < ALPHA:
        text += f"; within ±{100 * margin:.1f} points: no harm"
    return text


def rounded(value: Any) -> Any:
    """Figures to six significant digits: what is written does not hang on the last bits of a machine."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: rounded(part) for key, part in value.items()}
    return [rounded(part) for part in value] if isinstance(value, list) else value
