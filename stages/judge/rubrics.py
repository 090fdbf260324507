"""Stage `rubrics`: the rubrics that the sources of the test questions bring along.

    python -m stages.judge.rubrics

Writes data/rubrics/test.jsonl, in the format of MMAR-meta.jsonl. A source whose questions have a `rubric` (MMAR's
own metadata of 2026) gives that; MMAR-mini knows what each clip holds, and gets five items written from it, which
the evidence judge checks. Questions of other sources have none: point judge.rubrics at a file that has theirs.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from stages.common.errors import stage_main
from stages.common.files import QUESTIONS, SOURCES, read_jsonl, write_jsonl
from stages.common.params import load_params
from stages.common.records import read_questions
from stages.judge.evidence import rubric_of, units
from stages.judge.rubric_file import Rubric, rubric_from, to_row

RUBRICS = Path("data/rubrics/test.jsonl")


def rubrics_of_source(rows: Iterable[dict[str, Any]], where: str) -> dict[str, Rubric]:
    """The rubrics of one source's questions (of all splits), by id; questions without one are left out."""
    kept = list(rows)
    vocabularies: dict[str, set[str]] = defaultdict(set)
    for row in kept:
        if "evidence" in row:
            vocabularies[row["kind"]].update(units(row["evidence"]["heard"]))
    rubrics = {}
    for row in kept:
        if "rubric" in row:
            rubrics[row["id"]] = rubric_from(row, f"{where} (id {row['id']!r})")
        elif "evidence" in row:
            rubrics[row["id"]] = rubric_of(row["evidence"], row["answer"], sorted(vocabularies[row["kind"]]))
    return rubrics


@stage_main
def main() -> None:
    """Run the stage."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    rubrics: dict[str, Rubric] = {}
    for name in load_params("data.sources").data.sources:
        path = SOURCES / name / "questions.jsonl"
        rubrics |= rubrics_of_source(read_jsonl(path), str(path))
    wanted = [question.id for question in read_questions(QUESTIONS / "test.jsonl")]
    write_jsonl(RUBRICS, [to_row(name, rubrics[name]) for name in wanted if name in rubrics])
    print(f"{RUBRICS}: {sum(name in rubrics for name in wanted)} of {len(wanted)} test questions have a rubric")


if __name__ == "__main__":
    main()
