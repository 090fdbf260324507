"""What the text-only probe tells: how far above chance it comes, with an interval by clip, and a verdict."""

from collections.abc import Sequence
from statistics import NormalDist

from pydantic import BaseModel

from audio_reasoning.metrics.stats import ALPHA, Z, bootstrap_differences, holm, percentile_interval, wilson
from audio_reasoning.tasks.probe import Asked, answered_right
from audio_reasoning.tasks.probe_params import Probe

TOO_FEW, AT_CHANCE, LEAKS = "too few", "at chance", "leaks"


class Probed(BaseModel):
    """The probe of some questions; shares in fractions of one, null where there are too few to tell.

    `excess` is `accuracy` less `chance`, the mean of one over the number of choices; `low` and `high` bound its 95 %
    interval; `p` is one-sided, of no excess. `judged` fills in what is said of it: "leaks", "at chance" or "too few".
    """

    source: str
    split: str
    n: int
    groups: int
    accuracy: float | None = None
    chance: float | None = None
    excess: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_holm: float | None = None
    verdict: str = ""
    verdict_text: str = ""


def probe(source: str, split: str, questions: Sequence[Asked], params: Probe) -> Probed:
    """Probe the questions of a source's split, or of several ("all"), all folds among them.

    The interval resamples groups, and is at least as wide as Wilson's of the accuracy: what is alike everywhere never
    varies. It takes the classifiers as they are; another seed of the folds moves the accuracy a little.
    """
    n, groups = len(questions), [question.group for question in questions]
    clips = len(set(groups))
    if n < params.least or clips < params.folds:
        text = f"too few to tell: {n} questions about {clips} clips, of {params.least} and {params.folds} needed"
        return Probed(source=source, split=split, n=n, groups=clips, verdict=TOO_FEW, verdict_text=text)
    right = answered_right(questions, params.folds, params.seed)
    by_guessing = [1 / len(question.choices) for question in questions]
    accuracy, chance = sum(right) / n, sum(by_guessing) / n
    above = [hit - guess for hit, guess in zip(right, by_guessing, strict=True)]
    drawn = percentile_interval(bootstrap_differences(above, groups, params.resamples, params.seed))
    exact = wilson(sum(right), n)
    low, high = min(drawn[0], exact[0] - chance), max(drawn[1], exact[1] - chance)
    excess = accuracy - chance
    error = (high - low) / (2 * Z)
    return Probed(
        source=source,
        split=split,
        n=n,
        groups=clips,
        accuracy=round(accuracy, 4),
        chance=round(chance, 4),
        excess=round(excess, 4),
        low=round(low, 4),
        high=round(high, 4),
        p=round(1 - NormalDist().cdf(excess / error), 6),
    )


def judged(rows: Sequence[Probed]) -> list[Probed]:
    """The rows with p adjusted over all of them (Holm), and a verdict by it: one in twenty pipelines errs, not rows."""
    adjusted = iter(holm([row.p for row in rows if row.p is not None]))
    return [row if row.p is None else _judged(row, next(adjusted)) for row in rows]


def _judged(row: Probed, p_holm: float) -> Probed:
    assert row.excess is not None and row.low is not None and row.high is not None
    if p_holm < ALPHA:
        verdict, text = LEAKS, f"the text gives the answer away by {100 * row.excess:.1f} points"
    else:
        verdict, text = AT_CHANCE, f"at chance; the text gives away {100 * max(0.0, row.high):.1f} points at most"
    return row.model_copy(update={"p_holm": round(p_holm, 6), "verdict": verdict, "verdict_text": text})
