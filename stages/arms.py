"""What the control arms say: how much of the accuracy comes from the audio, and whether the order of choices decides.

    python -m stages.arms          # the DVC stage
    python -m stages.arms --show   # print the tables of the last run

Writes metrics/arms.json: for each variant of `arms.variants` what guessing would give (`chance`), its accuracy and each
arm's, with the shares of responses `truncated`, with `no_answer` or an `error`; the audio gain, which is the accuracy
with the clip minus that with silence, with another clip or in text alone; of `permuted`, the shares and the test of
metrics/places.py, with the interval of `consistency`. In lists, which `dvc metrics show` leaves out: `comparisons`,
a Comparison of each arm (a) with the ordinary run (b); `sub_categories`, the same for each of them, with `q`, adjusted
over those of one arm (Benjamini-Hochberg); `unanswered`, the arms that are compared with nothing, since they or the
ordinary run hold no answer at all, which measures failure and no gain; `consistency` and `places`.
Writes metrics/audio_gain.json, the long table of the plot: there a gain over all questions is `significant` if its p is
so among all of them, of every variant and arm (Holm), and one of a sub-category by its `q`.
"""

import argparse
from collections.abc import Sequence
from statistics import fmean
from typing import Any

from audio_reasoning.conditions.params import Arms
from audio_reasoning.core.errors import UserError, stage_main
from audio_reasoning.core.files import METRICS, QUESTIONS, read_json, write_json
from audio_reasoning.core.records import Question
from audio_reasoning.core.runs import PERMUTED, Run
from audio_reasoning.core.typed import Name, Strict
from audio_reasoning.metrics.compare_params import Compare
from audio_reasoning.metrics.inputs import Questions, Samples, read_question_set, read_samples
from audio_reasoning.metrics.paired import (
    Method,
    Pair,
    broken_down,
    explored,
    method_of,
    none_answered,
    rounded,
    scores_of,
    within,
)
from audio_reasoning.metrics.places import asked_in_orders, consistency_rows, place_rows, place_test, shares
from audio_reasoning.metrics.scoring import FATES
from audio_reasoning.metrics.stats import ALPHA, holm
from audio_reasoning.render.arms_table import table
from stages.params import load_params

SUMMARY = METRICS / "arms.json"
GAIN = METRICS / "audio_gain.json"

Row = dict[str, Any]
Scores = Sequence[float]


class Params(Strict):
    """What the stage reads."""

    arms: Arms
    compare: Compare
    profile: Name


def arm_rows(
    variant: str, arm: str, questions: Sequence[Question], normal: Scores, controlled: Scores, method: Method
) -> tuple[Row, list[Row]]:
    """The ordinary run (b) compared with one arm (a): over all questions, and the rows by sub-category."""
    pair = Pair(Run(variant, condition=arm).name, variant, controlled, normal)
    parts = broken_down(within(pair, questions, "sub_category", method), method)["rows"]
    overall = {"variant": variant, "arm": arm, **explored(pair, questions, method)}
    return overall, [{"variant": variant, "arm": arm, **part} for part in parts]


def order_effects(variant: str, questions: Questions, normal: Samples, method: Method) -> dict[str, Any]:
    """What `permuted` tells of a variant: its `figures`, and the rows of `consistency` and of `places`.

    Of a run with several samples a question, the first stands for the question's own order.
    """
    run = Run(variant, condition=PERMUTED)
    arm, permuted = read_json(run.manifest)["arm"], read_samples(run.predictions, questions, complete=True)
    asked = []
    for name, question in questions.items():
        own, found = (sorted((s.response for s in of[name]), key=lambda r: r.sample_index) for of in (normal, permuted))
        if len(found) != arm["permutations"]:
            raise UserError(
                f"{run.predictions} has {len(found)} answers to {name}, but {run.manifest} tells of "
                f"{arm['permutations']} orders: one of them is out of date; `dvc repro` mends it"
            )
        asked.append(asked_in_orders(question, own[0], found, arm["seed"]))
    figures = {
        **shares(asked, method),
        **{f"place_{key}": value for key, value in place_test(asked, method).items()},
    }
    lists = {"consistency": consistency_rows(asked, method), "places": place_rows(asked)}
    return {"figures": figures, **{key: [{"variant": variant, **row} for row in rows] for key, rows in lists.items()}}


def summarise(variants: Sequence[str], kinds: Sequence[str], questions: Questions, method: Method) -> dict[str, Any]:
    """Everything in metrics/arms.json but the profile, from the predictions of the ordinary runs and of the arms."""
    chance = fmean(1 / len(question.choices) for question in questions.values())
    figures: dict[str, Any] = {}
    lists: dict[str, list[Row]] = {
        key: [] for key in ("comparisons", "sub_categories", "unanswered", "consistency", "places")
    }
    for variant in variants:
        normal = read_samples(Run(variant).predictions, questions, complete=True)
        scores = scores_of(normal, questions)
        figures[variant] = {"n": len(questions), "chance": chance, "acc": fmean(scores), **fates(normal)}
        for arm in kinds:
            samples = read_samples(Run(variant, condition=arm).predictions, questions, complete=True)
            controlled = scores_of(samples, questions)
            figures[variant][arm] = {"acc": fmean(controlled), **fates(samples)}
            if none_answered(samples) or none_answered(normal):
                lists["unanswered"].append({"variant": variant, "arm": arm})
            else:
                overall, parts = arm_rows(variant, arm, [*questions.values()], scores, controlled, method)
                lists["comparisons"].append(overall)
                lists["sub_categories"] += parts
                if arm != PERMUTED:
                    figures[variant][arm]["audio_gain"] = overall["difference"]
            if arm == PERMUTED:
                effects = order_effects(variant, questions, normal, method)
                figures[variant][arm] |= effects["figures"]
                lists["consistency"] += effects["consistency"]
                lists["places"] += effects["places"]
    return {"false_discovery_rate": method.false_discovery_rate, "variants": figures, **lists}


def fates(samples: Samples) -> dict[str, float]:
    """The shares of responses that are truncated, without an answer, or errors."""
    found = [sample.response.status for several in samples.values() for sample in several]
    return {fate: fmean(status == fate for status in found) for fate in FATES}


def plot_rows(summary: dict[str, Any]) -> list[Row]:
    """The audio gain of each variant and arm as a long table: over all questions, then by sub-category."""
    gains = [row for row in summary["comparisons"] if row["arm"] != PERMUTED]
    rows = []
    for overall, p in zip(gains, holm([row["p"] for row in gains]), strict=True):
        of = {"profile": summary["profile"], "variant": overall["variant"], "arm": overall["arm"]}
        own = [row for row in summary["sub_categories"] if (row["variant"], row["arm"]) == (of["variant"], of["arm"])]
        rows.append(_plot_row(of, "all", overall, p < ALPHA))
        rows += [_plot_row(of, row["name"], row, row["q"] < summary["false_discovery_rate"]) for row in own]
    return rows


def _plot_row(of: Row, name: str, row: Row, significant: bool) -> Row:
    kept = {key: row[key] for key in ("n", "low", "high")}
    return {**of, "name": name, **kept, "gain": row["difference"], "significant": significant}


@stage_main
def main() -> None:
    """Summarise the arms of `arms.variants`, or show the last summary."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--show", action="store_true", help="print the last summary and write nothing")
    show = parser.parse_args().show
    params = load_params(
        Params,
        "arms.kinds",
        "arms.variants",
        "compare.false_discovery_rate",
        "compare.resamples",
        "compare.seed",
        "profile",
    )
    if not show:
        questions = read_question_set(QUESTIONS / "test.jsonl")
        found = summarise(params.arms.variants, params.arms.kinds, questions, method_of(params.compare))
        summary = rounded({"profile": params.profile, **found})
        write_json(SUMMARY, summary)
        write_json(GAIN, plot_rows(summary))
    print(table(read_json(SUMMARY)))


if __name__ == "__main__":
    main()
