"""What the stage `judge` writes: the runs' figures, their comparisons, and whose judgement it was.

`judge`, `note` and `made_by` say who judged. The one figure for `dvc metrics` is `rubrics_score` by run where a model
judged by MMAR-Rubrics' protocol, and `evidence_score` where MMAR-mini's rule did: the two are never one column. The
list `runs` holds all figures (see `metrics_of_run`), with `items_met` by rule for the evidence judge; the list
`comparisons` holds a Comparison of each later run with the first, with its p adjusted for so many (`p_holm`) and what
so many tests can see (`detectable`).
`left_out` of the `questions` cannot be judged: the evidence judge knows MMAR-mini's alone.
"""

from typing import Any

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.labels import slug
from audio_reasoning.judging.evidence import RULES
from audio_reasoning.judging.params import Judge
from audio_reasoning.judging.prompt import TEXT_HASH
from audio_reasoning.judging.scores import Answer, items_met, metrics_of_run, question_scores
from audio_reasoning.metrics.judge_results import JudgeSummary, RunRow
from audio_reasoning.metrics.paired import adjusted
from audio_reasoning.metrics.results import Adjusted, Manifest, to_json
from audio_reasoning.metrics.stats import compare_runs
from audio_reasoning.render.comparison import bounded, comparison_cells
from audio_reasoning.render.table import Table, cells, to_text
from audio_reasoning.render.tables import percent, percent_range

EVIDENCE_NOTE = "a fixed rule on what MMAR-mini's clips hold; not MMAR-Rubrics, and not to be compared with it"
ENDPOINT_NOTE = "MMAR-Rubrics' protocol, with the judge {model} and this project's own wording of the request"
OFF_NOTE = "off: judge.runs names no run"
NOTHING_NOTE = (
    "nothing to judge: none of the {questions} test questions holds MMAR-mini's evidence; rubrics and a judge model "
    "(judge.kind endpoint) can judge any"
)
LEFT_OUT_NOTE = "{left_out} of {questions} test questions hold no evidence and are left out"
LEGEND = """\
Percent of five items met, wrong answers 0, with 95 % intervals. trace: of right answers alone. per run: the other way
of trimming. failed: of the ratings asked for; they count as 0. excl.: the score without them. at most: were they 1."""

Judged = dict[str, list[Answer]]


def summarise(
    judged: Judged, judge: Judge, resamples: int, seed: int, questions: int, made_by: Manifest
) -> JudgeSummary:
    """The contents of metrics/judge.json for the answers of each run to those of the test questions with a rubric.

    `made_by` says where rubrics and ratings come from; what of the parameters decides them is added.
    """
    evidence = judge.kind == "evidence"
    if not judged:
        note = NOTHING_NOTE.format(questions=questions) if judge.runs else OFF_NOTE
        return JudgeSummary(
            judge=judge.kind, note=note, questions=questions, left_out=questions, runs=[], comparisons=[], made_by=[]
        )
    raters = 1 if evidence else judge.ratings
    runs = []
    for run, answers in judged.items():
        row = RunRow(run=run, **to_json(metrics_of_run(answers, raters, resamples, seed)))
        met = dict(zip(RULES, items_met(answers), strict=False))  # none if no answer is right
        runs.append(row.model_copy(update={"items_met": met}) if evidence else row)
    left_out = questions - runs[0].n  # the same questions are judged in every run
    note = EVIDENCE_NOTE if evidence else ENDPOINT_NOTE.format(model=judge.model)
    if left_out:
        note += f"; {LEFT_OUT_NOTE.format(left_out=left_out, questions=questions)}"
    made_by = {"ratings": raters, **made_by}
    if not evidence:
        made_by |= judge.model_dump(include={"model", "temperature", "seed", "max_tokens"}) | {"prompt_hash": TEXT_HASH}
    scores: dict[str, Any] = {"evidence_score" if evidence else "rubrics_score": _by_key(runs)}
    return JudgeSummary(
        judge=judge.kind,
        note=note,
        questions=questions,
        left_out=left_out,
        **scores,
        runs=runs,
        comparisons=_compared(judged, raters, resamples, seed),
        made_by=[made_by],
    )


def _by_key(runs: list[RunRow]) -> dict[str, float]:
    keyed = {slug(row.run): row.score for row in runs}
    if len(keyed) < len(runs):
        names = ", ".join(row.run for row in runs)
        raise UserError(f"judge.runs: two of {names} become the same metric; judge them apart")
    return keyed


def _compared(judged: Judged, raters: int, resamples: int, seed: int) -> list[Adjusted]:
    scores = {run: list(question_scores(answers, raters).values()) for run, answers in judged.items()}
    first, *others = scores
    groups = list({answer.question.id: answer.question.group for answer in judged[first]}.values())
    comparisons = [
        compare_runs(first, run, scores[first], scores[run], groups, resamples=resamples, seed=seed) for run in others
    ]
    return adjusted(comparisons)


def table(summary: JudgeSummary) -> str:
    """The figures for a terminal, in percent, under the judge's label."""
    title = f"judge: {summary.judge}, {summary.note}"
    if not summary.runs:
        return title
    versus = {row.b: row for row in summary.comparisons}
    rows = [
        cells(
            row.run,
            *(percent(row.score), percent_range(row.low, row.high)),
            *comparison_cells(versus.get(row.run), "Δ", "95 %", "p Holm"),
            percent(row.acc_strict),
            *(bounded(row, key) for key in ("trace_quality", "score_per_run", "score_excluded")),
            *(percent(row.score_at_most), f"{row.failed}/{row.ratings}"),
        )
        for row in summary.runs
    ]
    header = ["run", "score", "95 %", f"Δ {summary.runs[0].run}", "95 %", "p Holm"]
    header += ["strict", "trace", "per run", "excl.", "at most", "failed"]
    return "\n".join([title, "", to_text(Table(header, rows, notes=[LEGEND]))])
