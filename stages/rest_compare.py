"""Put the iterations of self-training beside the base model, and compare them question by question.

    python -m stages.rest_compare              # the DVC stage rest_compare
    python -m stages.rest_compare --show       # print the table of the last run
    python -m stages.rest_compare --markdown   # the same for a README

Writes two long tables for plots: metrics/rest/compare.json (profile, iteration, prompt, by, name, acc, low, high,
n; the base first) and metrics/rest/pass_rates.json (profile, iteration, sampler, pass_rate, category, problems);
and metrics/rest/summary.json:

- `gain` and `falls`, by prompt: what the iteration listed `last` gains over the base on all questions, and in how
  many sub-categories it falls significantly;
- the list `versus_base`: a Comparison of each iteration with the base under the same prompt, judged as one family (the
  keys of metrics/paired.py, `verdict` among them), the names of the sub-categories that `rise` and `fall`
  significantly, and the figures of each sub-category with `q` (Benjamini-Hochberg, as in metrics/summary.json);
- the list `versus_predecessor`: a Comparison with the iteration that it started from, where that is not the base,
  judged as a family of these alone;
- the list `notes`: among others, that these are families of their own: what `rest.iterations` and `rest.eval_prompts`
  declare is adjusted for apart from `compare.contrasts`;
- the list `gate`: whether each iteration was accepted, at which scale of its adapter, and why; of one that was refused
  (audio_reasoning/algorithms/rest/refusal.py), `refused` says by which stage, and the ways out.
"""

import argparse
from typing import Any

from audio_reasoning.algorithms.rest.params import Rest
from audio_reasoning.core.errors import stage_main
from audio_reasoning.core.files import QUESTIONS, REST_METRICS, read_json, write_json
from audio_reasoning.core.runs import BASE, Run, metrics_file
from audio_reasoning.core.typed import Name, Strict
from audio_reasoning.metrics.compare_params import Compare
from audio_reasoning.metrics.dropped import dropped_ids, dropped_notes
from audio_reasoning.metrics.inputs import Questions, read_question_set
from audio_reasoning.metrics.paired import NO_VERDICT, Method, Pair, broken_down, judged, method_of, within
from audio_reasoning.render.compare_rest_table import Metrics, markdown, table
from audio_reasoning.render.tables import MINI_NOTE
from stages.family import Contrasts, Scores, pairs_of, read_scores, with_base, with_start
from stages.params import load_params

COMPARE = REST_METRICS / "compare.json"
PASS_RATES = REST_METRICS / "pass_rates.json"
SUMMARY = REST_METRICS / "summary.json"
FAMILY_NOTE = (
    "a declared family apart from compare.contrasts: p is adjusted over {tests} comparisons with the base "
    "(Δ from: {others})"
)

Starts = dict[str, str]  # each iteration, and the model that it started from


class Params(Strict):
    """What the stage reads."""

    rest: Rest
    compare: Compare
    profile: Name


def accuracy_rows(metrics: Metrics, profile: str) -> list[dict[str, Any]]:
    """One row for each model, prompt and group of questions."""
    kept = ("by", "name", "low", "high", "n")
    return [
        {"profile": profile, "iteration": model, "prompt": prompt, "acc": row["acc_strict"]}
        | {key: row[key] for key in kept}
        for (model, prompt), values in metrics.items()
        for row in values["detail"]
    ]


def pass_rate_rows(starts: Starts, profile: str) -> list[dict[str, Any]]:
    """One row for each iteration and pass rate of its problems, which its `sampler`, the model before it, tried."""
    return [
        {"profile": profile, "iteration": name, "sampler": start}
        | {key: row[key] for key in ("pass_rate", "category", "problems")}
        for name, start in starts.items()
        for row in read_json(REST_METRICS / "pass_rates" / f"{name}.json")
    ]


def compare_models(
    contrasts: Contrasts, scores: Scores, unread: set[str], questions: Questions, method: Method
) -> list[dict[str, Any]]:
    """Compare the models of each contrast under its prompt, judged as one family; `a` and `b` name the models."""
    rows = judged(pairs_of(contrasts, scores), [*questions.values()], method, unread)
    return [
        {"prompt": b.variant, **row, "a": a.model, "b": b.model} for (a, b), row in zip(contrasts, rows, strict=True)
    ]


def with_sub_categories(row: dict[str, Any], pair: Pair, questions: Questions, method: Method) -> dict[str, Any]:
    """A comparison, the sub-categories in which it holds, and all of them."""
    found = broken_down(within(pair, [*questions.values()], "sub_category", method), method)
    return {**row, "rise": found["rise"], "fall": found["fall"], "sub_categories": found["rows"]}


def summarise(
    scores: Scores, unread: set[str], starts: Starts, prompts: list[str], questions: Questions, method: Method
) -> dict[str, Any]:
    """All comparisons, and the iteration listed last in a few figures; `unread` names runs without any answer."""
    contrasts = with_base(starts, prompts)
    rows = compare_models(contrasts, scores, unread, questions, method)
    versus_base = [
        with_sub_categories(row, pair, questions, method)
        for row, pair in zip(rows, pairs_of(contrasts, scores), strict=True)
    ]
    last = [row for row in versus_base if row["b"] == [*starts][-1]]
    return {
        "last": [*starts][-1] if starts else BASE,
        "gain": {row["prompt"]: row["difference"] for row in last},
        "falls": {row["prompt"]: len(row["fall"]) for row in last},
        "versus_base": versus_base,
        "versus_predecessor": compare_models(with_start(starts, prompts), scores, unread, questions, method),
    }


def notes(found: dict[str, Any]) -> list[str]:
    """What to keep in mind about the comparisons: which family they are, and which of them have no verdict."""
    rows = [*found["versus_base"], *found["versus_predecessor"]]
    silent = [
        f"{row['b']} against {row['a']} under {row['prompt']}: {row['verdict_text']}"
        for row in rows
        if row["verdict"] == NO_VERDICT
    ]
    tests, others = len(found["versus_base"]), len(found["versus_predecessor"])
    return [FAMILY_NOTE.format(tests=tests, others=others), *silent] if rows else []


def gate_verdicts(starts: Starts) -> list[dict[str, Any]]:
    """Whether each iteration was accepted, as the gate wrote it."""
    verdicts = {name: read_json(REST_METRICS / "gates" / f"{name}.json") for name in starts}
    return [
        {"iteration": name, "from": starts[name]}
        | {key: verdict[key] for key in ("accepted", "scale", "reason")}
        | {key: verdict[key] for key in ("refused",) if key in verdict}
        for name, verdict in verdicts.items()
    ]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--show", action="store_true", help="print the last comparison and write nothing")
    shown.add_argument("--markdown", action="store_true", help="print it as Markdown and write nothing")
    return parser.parse_args()


@stage_main
def main() -> None:
    """Compare the iterations of `rest.iterations` under `rest.eval_prompts`, or show the last comparison."""
    args = _arguments()
    params = load_params(
        Params,
        "compare.false_discovery_rate",
        "compare.margin",
        "compare.resamples",
        "compare.seed",
        "profile",
        "rest.eval_prompts",
        "rest.iterations",
        "rest.preset",
        "rest.seed",
    )
    prompts = params.rest.eval_prompts
    starts = {name: iteration.start for name, iteration in params.rest.iterations.items()}
    metrics = {
        (model, prompt): read_json(metrics_file(Run(prompt, model))) for model in (BASE, *starts) for prompt in prompts
    }
    if args.show or args.markdown:
        print((markdown if args.markdown else table)(metrics, read_json(SUMMARY)))
        return
    questions = read_question_set(QUESTIONS / "test.jsonl")
    runs = [Run(prompt, model) for model, prompt in metrics]
    scores, unread = read_scores(runs, questions, scored=runs)
    found = summarise(scores, unread, starts, prompts, questions, method_of(params.compare))
    summary = {
        "profile": params.profile,
        "preset": params.rest.preset,
        "seed": params.rest.seed,
        **found,
        "gate": gate_verdicts(starts),
        "notes": notes(found) + ([MINI_NOTE] if params.profile == "mini" else []) + dropped_notes(dropped_ids()),
    }
    pass_rates = pass_rate_rows(starts, params.profile)
    write_json(COMPARE, accuracy_rows(metrics, params.profile))
    write_json(PASS_RATES, pass_rates)
    write_json(SUMMARY, summary)
    print(table(metrics, summary))


if __name__ == "__main__":
    main()
