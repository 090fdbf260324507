"""Put the iterations of self-training beside the base model, and compare them question by question.

    python -m stages.evaluate.compare_rest              # the DVC stage rest_compare
    python -m stages.evaluate.compare_rest --show       # print the table of the last run
    python -m stages.evaluate.compare_rest --markdown   # the same for a README

Writes two long tables for plots: metrics/rest/compare.json (profile, iteration, prompt, by, name, acc, low, high,
n; the base first) and metrics/rest/pass_rates.json (profile, iteration, sampler, pass_rate, category, problems);
and metrics/rest/summary.json:

- `gain` and `falls`, by prompt: what the iteration listed `last` gains over the base on all questions, and in how
  many sub-categories it falls significantly;
- the list `versus_base`: a Comparison of each iteration with the base under the same prompt, with `p_holm` and
  `detectable` for all of them, the names of the sub-categories that `rise` and `fall` significantly, and the figures of
  each sub-category with `q` (Benjamini-Hochberg, as in metrics/summary.json);
- the list `versus_predecessor`: a Comparison with the iteration that it started from, where that is not the base, with
  `p_holm` and `detectable` for these alone;
- the list `notes`: among others, that these are families of their own: what `rest.iterations` and `rest.eval_prompts`
  declare is adjusted for apart from `compare.contrasts`;
- the list `gate`: whether each iteration was accepted, at which scale of its adapter, and why.
"""

import argparse
from typing import Any

from stages.common.errors import stage_main
from stages.common.files import METRICS, QUESTIONS, read_json, write_json
from stages.common.params import load_params
from stages.common.rest_params import BASE
from stages.evaluate.compare import strict_scores
from stages.evaluate.compare_rest_table import Metrics, markdown, table
from stages.evaluate.inputs import Questions, read_question_set
from stages.evaluate.paired import Method, Pair, adjusted, broken_down, whole, within
from stages.evaluate.runs import Run, metrics_file
from stages.evaluate.tables import MINI_NOTE

REST_METRICS = METRICS / "rest"
COMPARE = REST_METRICS / "compare.json"
PASS_RATES = REST_METRICS / "pass_rates.json"
SUMMARY = REST_METRICS / "summary.json"
FAMILY_NOTE = (
    "a declared family apart from compare.contrasts: p is adjusted over {tests} comparisons with the base "
    "(Δ from: {others})"
)

Starts = dict[str, str]  # each iteration, and the model that it started from
Scores = dict[tuple[str, str], list[float]]  # by model and prompt: a strict score for each question


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


def compare_pairs(
    scores: Scores, pairs: list[tuple[str, str, str]], questions: Questions, method: Method
) -> list[dict[str, Any]]:
    """Compare model b with model a under a prompt, for each (prompt, a, b), Holm-adjusted over all of them."""
    compared = [Pair(a, b, scores[a, prompt], scores[b, prompt]) for prompt, a, b in pairs]
    rows = adjusted([whole(pair, [*questions.values()], method) for pair in compared])
    return [{"prompt": prompt, **row} for (prompt, _, _), row in zip(pairs, rows, strict=True)]


def with_sub_categories(row: dict[str, Any], scores: Scores, questions: Questions, method: Method) -> dict[str, Any]:
    """A comparison, the sub-categories in which it holds, and all of them."""
    pair = Pair(row["a"], row["b"], scores[row["a"], row["prompt"]], scores[row["b"], row["prompt"]])
    found = broken_down(within(pair, [*questions.values()], "sub_category", method), method)
    return {**row, "rise": found["rise"], "fall": found["fall"], "sub_categories": found["rows"]}


def summarise(
    scores: Scores, starts: Starts, prompts: list[str], questions: Questions, method: Method
) -> dict[str, Any]:
    """All comparisons, and the iteration listed last in a few figures."""
    with_base = [(prompt, BASE, name) for prompt in prompts for name in starts]
    with_start = [(prompt, start, name) for prompt in prompts for name, start in starts.items() if start != BASE]
    versus_base = [
        with_sub_categories(row, scores, questions, method)
        for row in compare_pairs(scores, with_base, questions, method)
    ]
    last = [row for row in versus_base if row["b"] == [*starts][-1]]
    return {
        "last": [*starts][-1] if starts else BASE,
        "gain": {row["prompt"]: row["difference"] for row in last},
        "falls": {row["prompt"]: len(row["fall"]) for row in last},
        "versus_base": versus_base,
        "versus_predecessor": compare_pairs(scores, with_start, questions, method),
    }


def gate_verdicts(starts: Starts) -> list[dict[str, Any]]:
    """Whether each iteration was accepted, as the gate wrote it."""
    verdicts = {name: read_json(REST_METRICS / "gates" / f"{name}.json") for name in starts}
    return [
        {"iteration": name, "from": starts[name]} | {key: verdict[key] for key in ("accepted", "scale", "reason")}
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
        "compare.false_discovery_rate",
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
    scores = {
        (model, prompt): strict_scores(prompt, questions, values["acc_strict"], model)
        for (model, prompt), values in metrics.items()
    }
    how = params.compare
    method = Method(resamples=how.resamples, seed=how.seed, false_discovery_rate=how.false_discovery_rate)
    found = summarise(scores, starts, prompts, questions, method)
    family = FAMILY_NOTE.format(tests=len(found["versus_base"]), others=len(found["versus_predecessor"]))
    summary = {
        "profile": params.profile,
        "preset": params.rest.preset,
        "seed": params.rest.seed,
        **found,
        "gate": gate_verdicts(starts),
        "notes": ([family] if starts else []) + ([MINI_NOTE] if params.profile == "mini" else []),
    }
    pass_rates = pass_rate_rows(starts, params.profile)
    write_json(COMPARE, accuracy_rows(metrics, params.profile))
    write_json(PASS_RATES, pass_rates)
    write_json(SUMMARY, summary)
    print(table(metrics, summary))


if __name__ == "__main__":
    main()
