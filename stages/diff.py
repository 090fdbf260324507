"""What changed between two Git revisions, as Markdown for a pull request: verdicts, answers, metrics, parameters.

    audio-reasoning diff                    # what the workspace changes against the last commit but one
    audio-reasoning diff main workspace     # or: make diff A=main B=workspace

Verdicts are those of metrics/summary.json at each revision. Where the answers of both revisions are in DVC's cache,
each run that both have is compared with itself, question by question, as `compare` in params.yaml of the second
revision says: nobody declared that, so it is exploratory. Metrics and parameters are DVC's own diff, with what DVC
could not read.
"""

from pathlib import Path
from typing import Any

from dvc.exceptions import DvcException
from dvc.repo import Repo

from audio_reasoning.core.errors import UserError
from audio_reasoning.metrics.inputs import read_question_set, read_samples, some
from audio_reasoning.metrics.paired import NO_ANSWER, Method, Pair, adjusted, method_of, none_answered, scores_of, whole
from audio_reasoning.metrics.results import EXPLORATORY, Result, parse_result
from audio_reasoning.render.comparison import comparison_cells, delta
from audio_reasoning.render.table import Cell, Table, cells, to_markdown
from stages.layout import METRICS
from stages.revisions import Revision, revision

FAMILY = (
    "p is Holm-adjusted over the {tests} runs whose answers changed. Nobody declared these comparisons: they are "
    "exploratory, so there is no verdict on them."
)
SUMMARY = METRICS / "summary.json"
LOST = "Not compared, since answers are missing in DVC's cache (`dvc fetch --all-commits` gets them from a remote)"


class Called(Result):
    """What is read of a declared contrast at a revision, whatever else its version writes."""

    a: str
    b: str
    difference: float
    low: float
    high: float
    verdict: str


def verdicts(a: Revision, b: Revision) -> list[str]:
    """The declared contrasts at both revisions, those that only one of them declares included."""
    declared: list[dict[str, Called]] = []
    for side in (a, b):
        summary = side.mapping(SUMMARY)
        if summary is None:
            return [f"`{side.name}` holds no {SUMMARY}."]
        if "contrasts" not in summary:
            return [f"{SUMMARY} of `{side.name}` is from before there were verdicts."]
        rows = parse_result(summary["contrasts"], list[Called], f"{side.name}: {SUMMARY}: contrasts")
        declared.append({f"{row.b} against {row.a}": row for row in rows})
    lines = []
    for name in dict.fromkeys([*declared[0], *declared[1]]):
        before, after = (side.get(name) for side in declared)
        changed = not before or not after or before.verdict != after.verdict
        lines.append([Cell(name), *_verdict(before, False), *_verdict(after, changed)])
    header = ["contrast", f"Δ at {a.name}", "verdict", f"Δ at {b.name}", "verdict"]
    return [to_markdown(Table(header, lines, ["verdict"]))] if lines else ["No contrasts are declared."]


def _verdict(row: Called | None, changed: bool) -> list[Cell]:
    if row is None:
        return [Cell("–"), Cell("not declared")]
    return [Cell(delta(row)), Cell(row.verdict, significant=changed)]


def answers(a: Revision, b: Revision) -> list[str]:
    """Each run of both revisions compared with itself, Holm-adjusted over those whose answers changed."""
    if a.questions is None or b.questions is None or a.questions.md5 != b.questions.md5:
        return ["The test questions are not the same at both revisions: no run can be compared question by question."]
    questions = b.questions.file or a.questions.file
    both = [name for name in b.answers if name in a.answers]
    same = [name for name in both if a.answers[name].md5 == b.answers[name].md5]
    here = [name for name in both if questions and a.answers[name].file and b.answers[name].file]
    changed = [name for name in here if name not in same]
    lines = [_compared(a, b, changed, questions), FAMILY.format(tests=len(changed))] if changed and questions else []
    not_compared = {
        "The same answers at both revisions": same,
        LOST: [name for name in both if name not in (*same, *changed)],
        f"Only at {a.name}": [name for name in a.answers if name not in both],
        f"Only at {b.name}": [name for name in b.answers if name not in both],
    }
    return lines + [f"{what}: {', '.join(names)}." for what, names in not_compared.items() if names]


def _compared(a: Revision, b: Revision, changed: list[str], questions_file: Path) -> str:
    questions = read_question_set(questions_file)
    pairs, unread = [], set()
    for name in changed:
        both = [read_samples(side.answers[name].file or Path(), questions, complete=True) for side in (a, b)]
        pairs.append(Pair(name, name, *(scores_of(samples, questions) for samples in both)))
        unread |= {name} if any(map(none_answered, both)) else set()
    method = _method(b)
    rows = [
        cells(
            row.b,
            *comparison_cells(row, "Δ (95 %)"),
            f"{row.only_a} / {row.only_b}",
            *comparison_cells(row, "p Holm"),
            NO_ANSWER if row.b in unread else EXPLORATORY,
        )
        for row in adjusted([whole(pair, [*questions.values()], method) for pair in pairs])
    ]
    return to_markdown(Table(["run", "Δ", "lost / won", "p (Holm)", "verdict"], rows, ["verdict"]))


def _method(side: Revision) -> Method:
    """How a revision compares; the defaults where it is from before there were such parameters."""
    params = side.mapping(Path("params.yaml")) or {}
    return method_of(params.get("compare") or {})


def changes(dvc_diff: dict[str, Any], a: Revision, b: Revision) -> list[str]:
    """DVC's diff of metrics or parameters: whole figures in a table, those by category folded beneath.

    The audio gain of each control arm is a whole figure.
    """
    whole: list[list[str]] = []
    parts: list[list[str]] = []
    single = []
    for file, keys in sorted(dvc_diff.get("diff", {}).items()):
        absent = [side for side in (a, b) if side.text(Path(file)) is None]
        if absent:
            single.append(f"Not at {' or '.join(side.name for side in absent)}: {file} ({len(keys)} figures).")
            continue
        for key, change in sorted(keys.items()):
            row = [file, key, _value(change.get("old")), _value(change.get("new")), _step(change)]
            folded = file.startswith("metrics") and "." in key and not key.endswith(".audio_gain")
            (parts if folded else whole).append(row)
    header = ["file", "key", a.name, b.name, "change"]
    lines = [to_markdown(Table(header, whole, ["key"]))] if whole else []
    if parts:
        lines.append(f"<details><summary>{len(parts)} more, by category</summary>")
        lines += [to_markdown(Table(header, parts, ["key"])), "</details>"]
    return [*lines, *single, *_unread(dvc_diff, {side.name: side for side in (a, b)})] or ["No change."]


def _unread(dvc_diff: dict[str, Any], sides: dict[str, Revision]) -> list[str]:
    """What DVC could not read, by revision; its diff shows such files as empty, or not at all."""
    lines = []
    for name, errors in dvc_diff.get("errors", {}).items():
        if not isinstance(errors, dict):
            lines.append(f"DVC could not read {name}: {_reason(errors)}.")
            continue
        absent = [file for file in dvc_diff.get("diff", {}) if sides[name].text(Path(file)) is None]  # told already
        files = [f"{file} ({_reason(error)})" for file, error in sorted(errors.items()) if file not in absent]
        lines += [f"DVC could not read {len(files)} files at {name}: {some(files)}."] if files else []
    return lines


def _reason(error: Exception) -> str:
    return str(error).replace("\n", " ") or type(error).__name__


def _value(value: Any) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else "–" if value is None else str(value)
    return text.replace("|", r"\|").replace("\n", " ")


def _step(change: dict[str, Any]) -> str:
    return f"{change['diff']:+.4g}" if "diff" in change else ""


def markdown(a: Revision, b: Revision) -> str:
    """The whole report."""
    revisions = {"a_rev": a.name, "b_rev": b.name}
    parts = {
        "Verdicts": verdicts(a, b),
        "Each run against itself": answers(a, b),
        "Metrics": changes(a.repo.metrics.diff(**revisions), a, b),
        "Parameters": changes(a.repo.params.diff(**revisions), a, b),
    }
    lines = [f"## {a.name} → {b.name}"]
    for title, text in parts.items():
        lines += [f"### {title}", *text]
    return "\n\n".join(lines)


def between(a: str, b: str) -> str:
    """The report on two Git revisions, of which one may be called workspace; UserError for what is no revision."""
    try:
        repo = Repo()
    except DvcException as error:
        raise UserError(f"{error} (run from the folder that holds dvc.yaml)") from None
    return markdown(revision(a, repo), revision(b, repo))
