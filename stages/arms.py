"""What the control arms say: how much of the accuracy comes from the audio, and whether the order of choices decides.

    python -m stages.arms

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
from typing import Any, NamedTuple

from audio_reasoning.core.errors import UserError, stage_main
from audio_reasoning.core.files import read_json
from audio_reasoning.core.records import Question
from audio_reasoning.core.run_names import ArmNames
from audio_reasoning.core.runs import PERMUTED, Run
from audio_reasoning.core.typed import Name, Strict
from audio_reasoning.metrics.arms_results import (
    ArmComparison,
    ArmFigures,
    ArmGroup,
    ArmsSummary,
    AudioGain,
    ChoicesConsistency,
    OfArm,
    OrderFigures,
    Place,
    VariantFigures,
)
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
)
from audio_reasoning.metrics.places import asked_in_orders, consistency_rows, place_rows, place_test, shares
from audio_reasoning.metrics.resampling import Resampling
from audio_reasoning.metrics.results import read_result, to_json, write_result
from audio_reasoning.metrics.scoring import FATES
from audio_reasoning.metrics.stats import ALPHA, holm
from audio_reasoning.render.arms_table import table
from stages.layout import METRICS, QUESTIONS, answers_file, manifest_file
from stages.params import load_params

SUMMARY = METRICS / "arms.json"
GAIN = METRICS / "audio_gain.json"

Scores = Sequence[float]


class Params(Strict):
    """What the stage reads."""

    arms: ArmNames
    compare: Resampling
    profile: Name


class Orders(NamedTuple):
    """What `permuted` tells of a variant: over all questions, by number of choices, and by place."""

    figures: dict[str, Any]
    consistency: list[ChoicesConsistency]
    places: list[Place]


def arm_rows(
    variant: str, arm: str, questions: Sequence[Question], normal: Scores, controlled: Scores, method: Method
) -> tuple[ArmComparison, list[ArmGroup]]:
    """The ordinary run (b) compared with one arm (a): over all questions, and the rows by sub-category."""
    pair = Pair(Run(variant, condition=arm).name, variant, controlled, normal)
    groups = broken_down(pair, questions, "sub_category", method).rows
    overall = ArmComparison(variant=variant, arm=arm, **to_json(explored(pair, questions, method)))
    return overall, [ArmGroup(variant=variant, arm=arm, **to_json(group)) for group in groups]


def order_effects(variant: str, questions: Questions, normal: Samples, method: Method) -> Orders:
    """What `permuted` tells of a variant.

    Of a run with several samples a question, the first stands for the question's own order.
    """
    run = Run(variant, condition=PERMUTED)
    arm, permuted = read_json(manifest_file(run))["arm"], read_samples(answers_file(run), questions, complete=True)
    in_orders = []
    for name, question in questions.items():
        ordinary = min((sample.response for sample in normal[name]), key=lambda r: r.sample_index)
        reordered = sorted((sample.response for sample in permuted[name]), key=lambda r: r.sample_index)
        if len(reordered) != arm["permutations"]:
            raise UserError(
                f"{answers_file(run)} has {len(reordered)} answers to {name}, but {manifest_file(run)} tells of "
                f"{arm['permutations']} orders: one of them is out of date; `dvc repro` mends it"
            )
        in_orders.append(asked_in_orders(question, ordinary, reordered, arm["seed"]))
    places = {f"place_{key}": value for key, value in place_test(in_orders, method).items()}
    return Orders(
        {**shares(in_orders, method), **places},
        [ChoicesConsistency(variant=variant, **row) for row in consistency_rows(in_orders, method)],
        [Place(variant=variant, **row) for row in place_rows(in_orders)],
    )


def summarise(
    variants: Sequence[str], kinds: Sequence[str], questions: Questions, method: Method, profile: str
) -> ArmsSummary:
    """metrics/arms.json, from the predictions of the ordinary runs and of the arms."""
    chance = fmean(1 / len(question.choices) for question in questions.values())
    figures: dict[str, VariantFigures] = {}
    comparisons: list[ArmComparison] = []
    sub_categories: list[ArmGroup] = []
    unanswered: list[OfArm] = []
    consistency: list[ChoicesConsistency] = []
    places: list[Place] = []
    for variant in variants:
        normal = read_samples(answers_file(Run(variant)), questions, complete=True)
        scores = scores_of(normal, questions)
        arms: dict[str, Any] = {}
        for arm in kinds:
            samples = read_samples(answers_file(Run(variant, condition=arm)), questions, complete=True)
            controlled = scores_of(samples, questions)
            arm_figures: dict[str, Any] = {"acc": fmean(controlled), **fates(samples)}
            if none_answered(samples) or none_answered(normal):
                unanswered.append(OfArm(variant=variant, arm=arm))
            else:
                overall, parts = arm_rows(variant, arm, [*questions.values()], scores, controlled, method)
                comparisons.append(overall)
                sub_categories += parts
                if arm != PERMUTED:
                    arm_figures["audio_gain"] = overall.difference
            if arm == PERMUTED:
                orders = order_effects(variant, questions, normal, method)
                arm_figures |= orders.figures
                consistency += orders.consistency
                places += orders.places
            arms[arm] = (OrderFigures if arm == PERMUTED else ArmFigures)(**arm_figures)
        of_variant: dict[str, Any] = {"n": len(questions), "chance": chance, "acc": fmean(scores), **fates(normal)}
        figures[variant] = VariantFigures(**of_variant, **arms)
    return rounded(
        ArmsSummary(
            profile=profile,
            false_discovery_rate=method.false_discovery_rate,
            variants=figures,
            comparisons=comparisons,
            sub_categories=sub_categories,
            unanswered=unanswered,
            consistency=consistency,
            places=places,
        )
    )


def fates(samples: Samples) -> dict[str, float]:
    """The shares of responses that are truncated, without an answer, or errors."""
    statuses = [sample.response.status for several in samples.values() for sample in several]
    return {fate: fmean(status == fate for status in statuses) for fate in FATES}


def plot_rows(summary: ArmsSummary) -> list[AudioGain]:
    """The audio gain of each variant and arm as a long table: over all questions, then by sub-category."""
    gains = [row for row in summary.comparisons if row.arm != PERMUTED]
    rows = []
    for overall, p in zip(gains, holm([row.p for row in gains]), strict=True):
        rows.append(_plot_row(summary.profile, "all", overall, p < ALPHA))
        rows += [
            _plot_row(summary.profile, row.name, row, row.significant(summary.false_discovery_rate))
            for row in summary.sub_categories
            if (row.variant, row.arm) == (overall.variant, overall.arm)
        ]
    return rows


def _plot_row(profile: str, name: str, row: ArmComparison | ArmGroup, significant: bool) -> AudioGain:
    kept: dict[str, Any] = row.model_dump(include={"variant", "arm", "n", "low", "high"})
    return AudioGain(profile=profile, name=name, gain=row.difference or 0.0, significant=significant, **kept)


@stage_main
def main() -> None:
    """Summarise the arms of `arms.variants`."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    params = load_params(
        Params,
        "arms.kinds",
        "arms.variants",
        "compare.false_discovery_rate",
        "compare.resamples",
        "compare.seed",
        "profile",
    )
    questions = read_question_set(QUESTIONS / "test.jsonl")
    summary = summarise(params.arms.variants, params.arms.kinds, questions, method_of(params.compare), params.profile)
    write_result(SUMMARY, summary)
    write_result(GAIN, plot_rows(summary))
    print(table(read_result(SUMMARY, ArmsSummary)))


if __name__ == "__main__":
    main()
