"""Put the trained models beside the base model, and compare them question by question.

    python -m stages.compare_models

Writes two long tables for plots: metrics/training/compare.json (profile, model, prompt, by, name, acc, low, high,
n; the base first) and metrics/training/pass_rates.json (profile, model, sampler, pass_rate, category, problems);
and metrics/training/summary.json:

- `gain` and `falls`, by model and prompt: what it gains over the base on all questions, and in how many
  sub-categories it falls significantly; `leaves`: the models that no other one starts from;
- the list `versus_base`: a Comparison of each model with the base under the same prompt, judged as one family (the
  keys of metrics/results.py, `verdict` among them), the names of the sub-categories that `rise` and `fall`
  significantly, and the figures of each sub-category with `q` (Benjamini-Hochberg, as in metrics/summary.json);
- the list `versus_predecessor`: a Comparison with the model that it started from, where that is not the base,
  judged as a family of these alone;
- the list `notes`: among others, that these are families of their own: what `models` and `training.eval_prompts`
  declare is adjusted for apart from `compare.contrasts`;
- the list `gate`: whether each model was accepted, at which scale of its adapter, and why; of one that was refused
  (audio_reasoning/algorithms/refusal.py), `refused` says by which stage, and the ways out.
"""

import argparse
from collections.abc import Mapping

from audio_reasoning.core.errors import stage_main
from audio_reasoning.core.run_names import EvalPrompts, Start
from audio_reasoning.core.runs import BASE, Run
from audio_reasoning.core.typed import Name, Strict
from audio_reasoning.metrics.dropped import dropped_ids, dropped_notes
from audio_reasoning.metrics.inputs import Questions, read_question_set
from audio_reasoning.metrics.paired import Method, Pair, broken_down, judged, method_of
from audio_reasoning.metrics.resampling import Resampling
from audio_reasoning.metrics.results import NO_VERDICT, AccuracyRow, read_result, to_json, write_result
from audio_reasoning.metrics.results import Metrics as RunMetrics
from audio_reasoning.metrics.training_results import (
    Gate,
    GateVerdict,
    ModelComparison,
    ModelRow,
    PassRate,
    PassRateRow,
    TrainingSummary,
    VersusBase,
)
from audio_reasoning.render.compare_models_table import Metrics, table
from audio_reasoning.render.tables import profile_notes
from stages.family import Contrasts, Scores, pairs_of, read_scores, with_base, with_start
from stages.layout import QUESTIONS, TRAINING_METRICS, metrics_file
from stages.params import load_params

COMPARE = TRAINING_METRICS / "compare.json"
PASS_RATES = TRAINING_METRICS / "pass_rates.json"
SUMMARY = TRAINING_METRICS / "summary.json"
FAMILY_NOTE = (
    "a declared family apart from compare.contrasts: p is adjusted over {tests} comparisons with the base "
    "(Δ from: {others})"
)

Starts = dict[str, str]  # each model, and the model that it started from


class Trained(EvalPrompts):
    """What the stage reads of the group."""

    preset: Name


class Params(Strict):
    """What the stage reads."""

    models: Mapping[Name, Start]
    training: Trained
    compare: Resampling
    profile: Name


def accuracy_rows(metrics: Metrics, profile: str) -> list[ModelRow]:
    """One row for each model, prompt and group of questions."""
    kept = {*AccuracyRow.model_fields}
    return [
        ModelRow(profile=profile, model=model, prompt=prompt, acc=row.acc_strict, **row.model_dump(include=kept))
        for (model, prompt), values in metrics.items()
        for row in values.detail
    ]


def pass_rate_rows(starts: Starts, profile: str) -> list[PassRateRow]:
    """One row for each model and pass rate of its problems, which its `sampler`, the model before it, tried."""
    return [
        PassRateRow(profile=profile, model=name, sampler=start, **to_json(row))
        for name, start in starts.items()
        for row in read_result(TRAINING_METRICS / "pass_rates" / f"{name}.json", list[PassRate])
    ]


def compare_models(
    contrasts: Contrasts, scores: Scores, unread: set[str], questions: Questions, method: Method
) -> list[ModelComparison]:
    """Compare the models of each contrast under its prompt, judged as one family; `a` and `b` name the models."""
    rows = judged(pairs_of(contrasts, scores), [*questions.values()], method, unread)
    return [
        ModelComparison(**{**to_json(row), "prompt": b.variant, "a": a.model, "b": b.model})
        for (a, b), row in zip(contrasts, rows, strict=True)
    ]


def with_sub_categories(row: ModelComparison, pair: Pair, questions: Questions, method: Method) -> VersusBase:
    """A comparison, the sub-categories in which it holds, and all of them."""
    parts = broken_down(pair, [*questions.values()], "sub_category", method)
    return VersusBase(**to_json(row), rise=parts.rise, fall=parts.fall, sub_categories=parts.rows)


def versus_base(
    contrasts: Contrasts, scores: Scores, unread: set[str], questions: Questions, method: Method
) -> list[VersusBase]:
    """Each model with the base under each prompt, by sub-category too; `unread` names runs without any answer."""
    rows = compare_models(contrasts, scores, unread, questions, method)
    pairs = pairs_of(contrasts, scores)
    return [with_sub_categories(row, pair, questions, method) for row, pair in zip(rows, pairs, strict=True)]


def notes(with_bases: list[VersusBase], with_starts: list[ModelComparison]) -> list[str]:
    """What to keep in mind about the comparisons: which family they are, and which of them have no verdict."""
    rows = [*with_bases, *with_starts]
    silent = [
        f"{row.b} against {row.a} under {row.prompt}: {row.verdict_text}" for row in rows if row.verdict == NO_VERDICT
    ]
    return [FAMILY_NOTE.format(tests=len(with_bases), others=len(with_starts)), *silent] if rows else []


def gate_verdicts(starts: Starts) -> list[Gate]:
    """Whether each model was accepted, as the gate wrote it."""
    verdicts = {name: read_result(TRAINING_METRICS / "gates" / f"{name}.json", GateVerdict) for name in starts}
    return [Gate(model=name, start=starts[name], **to_json(verdict)) for name, verdict in verdicts.items()]


@stage_main
def main() -> None:
    """Compare all models under `training.eval_prompts`."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    params = load_params(
        Params,
        "compare.false_discovery_rate",
        "compare.margin",
        "compare.resamples",
        "compare.seed",
        "profile",
        "training.eval_prompts",
        "models",
        "training.preset",
    )
    prompts = params.training.eval_prompts
    starts = {name: model.start for name, model in params.models.items()}
    metrics = {
        (model, prompt): read_result(metrics_file(Run(prompt, model)), RunMetrics)
        for model in (BASE, *starts)
        for prompt in prompts
    }
    questions = read_question_set(QUESTIONS / "test.jsonl")
    runs = [Run(prompt, model) for model, prompt in metrics]
    scores, unread = read_scores(runs, questions, scored=runs)
    method = method_of(params.compare)
    with_bases = versus_base(with_base(starts, prompts), scores, unread, questions, method)
    with_starts = compare_models(with_start(starts, prompts), scores, unread, questions, method)
    summary = TrainingSummary(
        profile=params.profile,
        preset=params.training.preset,
        leaves=[name for name in starts if name not in starts.values()],
        gain={name: {row.prompt: row.difference for row in with_bases if row.b == name} for name in starts},
        falls={name: {row.prompt: len(row.fall) for row in with_bases if row.b == name} for name in starts},
        versus_base=with_bases,
        versus_predecessor=with_starts,
        gate=gate_verdicts(starts),
        notes=[
            *notes(with_bases, with_starts),
            *profile_notes(params.profile),
            *dropped_notes(dropped_ids(QUESTIONS)),
        ],
    )
    pass_rates = pass_rate_rows(starts, params.profile)
    write_result(COMPARE, accuracy_rows(metrics, params.profile))
    write_result(PASS_RATES, pass_rates)
    write_result(SUMMARY, summary)
    print(table(metrics, summary))


if __name__ == "__main__":
    main()
