"""A run's accuracy over the commits or experiments of this repository, read from Git and DVC's cache.

`audio-reasoning trend` prints it. Where the answers of a commit and of the one before it are in DVC's cache, and to the
same questions, the difference is paired question by question; else it is that of two accuracies.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from dvc.exceptions import DvcException
from dvc.repo import Repo

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.runs import BASE, Run, named_run
from audio_reasoning.metrics.inputs import read_question_set, read_samples
from audio_reasoning.metrics.paired import Pair, method_of, scores_of, whole
from audio_reasoning.metrics.trend import OVERALL, Change, Point, Share, Trend, incomparable, shares_of, unpaired
from stages.layout import METRICS, metrics_file
from stages.revisions import WORKSPACE, Revision, git

HEADLINE = METRICS / "headline.json"


@dataclass(frozen=True)
class Commit:
    """A revision to look at, and what it is shown as; `start` is that of an experiment's commit, empty for commits."""

    revision: str
    shown: str
    date: str
    subject: str
    start: str = ""


@dataclass(frozen=True)
class _Seen:
    commit: Commit
    side: Revision
    run: Run
    point: Point


def commits(last: int, run: str) -> list[Commit]:
    """The last commits that changed the run's metrics, oldest first, and the workspace where they are others there.

    Raises UserError where Git knows no commit.
    """
    files = [str(path) for path in _places(run)]
    found = _logged(f"--max-count={last}", "--", *files)
    changed = git("status", "--porcelain", "--", *files).stdout.strip()
    here = [Commit(WORKSPACE, WORKSPACE, "", "not committed")] if changed else []
    return [*found, *here][-last:]


def experiments(last: int) -> list[Commit]:
    """The last experiments of DVC that this repository holds, oldest first, after the commit that each starts from."""
    form = "%(objectname)%1f%(refname)%1f%(committerdate:short)"
    listed = git("for-each-ref", "--sort=committerdate", f"--format={form}", "refs/exps").stdout.splitlines()
    found: dict[str, list[Commit]] = {}
    for line in listed[-last:]:
        commit, ref, date = line.split("\x1f")
        parts = ref.split("/")  # refs/exps/ab/cdef…/name; others of refs/exps are DVC's own
        if len(parts) == 5 and len(parts[2]) == 2:
            start = parts[2] + parts[3]
            found.setdefault(start, []).append(Commit(commit, parts[4], date, "an experiment", start))
    return [one for start, made in found.items() for one in (*_logged("--max-count=1", start), *made)]


def _logged(*arguments: str) -> list[Commit]:
    logged = git("log", "--format=%H%x1f%h%x1f%cs%x1f%s", *arguments)
    if logged.returncode:
        raise UserError(f"no history to read: {logged.stderr.strip().splitlines()[0]}")
    return [Commit(*line.split("\x1f", 3)) for line in reversed(logged.stdout.splitlines())]


def trend(chosen: list[Commit], run: str, by: str) -> Trend:
    """A point for each commit that has metrics of the run, each with its change against the one before.

    That of an experiment is against its commit. `run` is a run's name, or empty for the headline of each commit. Raises
    UserError where none has any.
    """
    try:
        repo = Repo()
    except DvcException as error:
        raise UserError(f"{error} (run from the folder that holds dvc.yaml)") from None
    seen: list[_Seen] = []
    notes = []
    for commit in chosen:
        side = Revision(commit.revision, repo)
        try:
            read = _read(side, run, by)
            params = side.mapping(Path("params.yaml")) or {}
        except UserError as error:  # such as a file with a merge's conflicts
            notes.append(f"left out: {commit.shown} ({str(error).removeprefix(f'{commit.revision}: ')})")
            continue
        if read is None:
            continue
        groups, asked = read
        questions = side.questions.md5 if side.questions else ""
        point = Point(commit.shown, commit.date, commit.subject, str(params.get("profile", "")), questions, groups)
        before = [one for one in seen if not commit.start or one.commit.revision == commit.start]
        if before:
            point = _changed(before[-1], point, side, asked)
        seen.append(_Seen(commit, side, asked, point))
    if not seen:
        which = "experiment" if any(commit.start for commit in chosen) else "commit"
        told = f"; {'; '.join(notes)}" if notes else ""
        raise UserError(
            f"no {which} holds metrics of {run or 'a headline'}: `dvc repro score`, then commit metrics/{told}"
        )
    if git("rev-parse", "--is-shallow-repository").stdout.strip() == "true":
        notes.append("a shallow clone: it holds no older commits (`git fetch --unshallow` gets them)")
    return Trend([one.point for one in seen], notes)


def _read(side: Revision, run: str, by: str) -> tuple[dict[str, Share], Run] | None:
    """The shares and the run that they are of; None where the revision has no such metrics.

    Raises UserError for a file that cannot be read.
    """
    for path in _places(run):
        metrics = side.mapping(path)
        if metrics is None:
            continue
        try:
            asked = named_run(run or metrics["variant"])
            return shares_of(metrics, by), asked
        except (KeyError, TypeError, ValueError):
            raise UserError(f"{path}: these are no metrics of a run") from None
    return None


def _places(run: str) -> Iterator[Path]:
    """Where versions of this project wrote a run's metrics, the newest first."""
    if not run:
        yield HEADLINE
        return
    asked = named_run(run)
    yield metrics_file(asked)
    if not asked.condition:
        older = METRICS / "prompts" if asked.model == BASE else METRICS / "rest/scores" / asked.model
        yield older / f"{asked.variant}.json"


def _changed(before: _Seen, point: Point, side: Revision, run: Run) -> Point:
    """The point with its change, or with why it has none."""
    last = before.point
    if note := incomparable(last, point):
        return replace(point, note=note)
    note = f"now {run.name}, before {before.run.name}" if run != before.run else ""
    if last.groups == point.groups:
        return replace(point, change=Change(0.0, 0.0, 0.0, paired=True), note=note or "the same figures")
    change = _paired(before, side, run) or unpaired(last.groups[OVERALL], point.groups[OVERALL])
    return replace(point, change=change, note=note)


def _paired(before: _Seen, side: Revision, run: Run) -> Change | None:
    """The difference question by question; None where answers or questions are not at hand, or not the same."""
    sides = ((before.side, before.run), (side, run))
    asked = [one.questions for one, _ in sides]
    answers = [one.answers.get(of.name) for one, of in sides]
    file = next((one.file for one in asked if one and one.file), None)
    if file is None or None in asked or len({one.md5 for one in asked if one}) > 1:
        return None
    files = [one.file for one in answers if one and one.file]
    if len(files) < len(sides):
        return None
    try:
        questions = read_question_set(file)
        scores = [scores_of(read_samples(path, questions, complete=True), questions) for path in files]
    except UserError:  # of a version whose records are others
        return None
    found = whole(Pair(before.run.name, run.name, *scores), [*questions.values()], method_of({}))
    return Change(found.difference, found.low, found.high, paired=True)
