"""Where the stage `submission` writes, and what it records of a run that cannot be submitted as it is."""

import sys
from collections.abc import Sequence
from pathlib import Path

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import atomic_dir
from audio_reasoning.metrics.results import write_result
from audio_reasoning.render.submission.results import Unsound
from stages.layout import METRICS

SUBMISSION = Path("data/submission/submission.zip")  # the folder is the stage's output: no zip, no false one
PROBLEMS = SUBMISSION.with_name("problems.txt")
MANIFEST = METRICS / "submission.json"
_FIRST = 10  # problems in the metrics and on the screen


class UnsoundError(UserError):
    """A submission has problems; all of them, and what could be done."""

    def __init__(self, name: str, problems: Sequence[str], ways_out: Sequence[str]):
        lines = [f"{name}: {len(problems)} problem(s)", *problems, *ways_out]
        super().__init__("\n  ".join(lines))
        self.problems, self.ways_out = list(problems), list(ways_out)


def record_unsound(name: str, error: UnsoundError) -> None:
    """Write that `name` cannot be submitted as it is, and why, in place of the zip and its manifest."""
    with atomic_dir(SUBMISSION.parent) as folder:
        (folder / PROBLEMS.name).write_text(f"{error}\n", encoding="utf-8")
    record = Unsound(
        run=name,
        sound=False,
        problems=len(error.problems),
        first_problems=error.problems[:_FIRST],
        ways_out=error.ways_out,
    )
    write_result(MANIFEST, record)
    rule = "─" * 100
    reported = "\n  ".join([*error.problems[:_FIRST], *error.ways_out])
    print(
        f"{rule}\nNOT SOUND: {name} cannot be submitted as it is: {len(error.problems)} problem(s)\n  {reported}\n"
        f"All of them are in {PROBLEMS}; there is no zip. The rest of the pipeline is as it would be.\n{rule}",
        file=sys.stderr,
    )
