"""Stage `rubrics`: the rubrics that the sources of the test questions bring along.

    python -m stages.rubrics

Writes data/rubrics/test.jsonl, in the format of MMAR-meta.jsonl. A source whose questions or annotations have a
`rubric` (MMAR's own metadata of 2026) gives that; MMAR-mini knows what each clip holds, and gets five items written
from it, which the evidence judge checks. Questions of other sources have none: point judge.rubrics at a file that has
theirs.

A `rubric` that cannot be used is warned of and left out, since most who bring their questions along judge nothing;
the stage `judge` stops where it needs one that is not there.
"""

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from audio_reasoning.core.errors import UserError, stage_main
from audio_reasoning.core.files import read_jsonl, write_jsonl
from audio_reasoning.core.records import read_questions
from audio_reasoning.core.typed import Strict
from audio_reasoning.judging.evidence import rubric_of, units
from audio_reasoning.judging.rubric_file import Rubric, rubric_from, to_row
from audio_reasoning.tasks.params import Data, MiniSource
from stages.layout import QUESTIONS, SOURCES
from stages.params import load_params

RUBRICS = Path("data/rubrics/test.jsonl")


class Params(Strict):
    """What the stage reads."""

    data: Data


def rubrics_of_mini(rows: Iterable[dict[str, Any]]) -> dict[str, Rubric]:
    """The rubrics of MMAR-mini's questions (of all splits), by id, from their evidence."""
    kept = list(rows)
    vocabularies: dict[str, set[str]] = defaultdict(set)
    for row in kept:
        vocabularies[row["kind"]].update(units(row["evidence"]["heard"]))
    return {
        row["id"]: rubric_of(row["evidence"], row["question"], row["answer"], sorted(vocabularies[row["kind"]]))
        for row in kept
    }


def rubrics_brought(rows: Iterable[dict[str, Any]], where: str) -> tuple[dict[str, Rubric], list[str]]:
    """The rubrics that another source's questions bring along, by id, and what is wrong with those left out."""
    rubrics: dict[str, Rubric] = {}
    wrong: list[str] = []
    for row in rows:
        if row.get("rubric") is None:
            continue
        try:
            rubrics[row["id"]] = rubric_from(row, f"{where} (id {row['id']!r})")
        except UserError as error:
            wrong.append(str(error))
    return rubrics, wrong


@stage_main
def main() -> None:
    """Run the stage."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    rubrics: dict[str, Rubric] = {}
    for name, source in load_params(Params, "data.sources").data.sources.items():
        path = SOURCES / name / "questions.jsonl"
        if isinstance(source, MiniSource):
            rubrics |= rubrics_of_mini(read_jsonl(path))
            continue
        apart = path.with_name("annotations.jsonl")
        for file in (path, apart) if apart.is_file() else (path,):
            brought, wrong = rubrics_brought(read_jsonl(file), str(file))
            rubrics |= brought
            if wrong:
                named = f"{file}: {len(wrong)} rubrics cannot be used and are left out"
                print("\n  ".join([f"warning: {named}; the first:", *wrong[:3]]), file=sys.stderr)
    ids = [question.id for question in read_questions(QUESTIONS / "test.jsonl")]
    write_jsonl(RUBRICS, [to_row(name, rubrics[name]) for name in ids if name in rubrics])
    print(f"{RUBRICS}: {sum(name in rubrics for name in ids)} of {len(ids)} test questions have a rubric")


if __name__ == "__main__":
    main()
