"""Stage `given_traces`: the traces that sources bring along with train questions, for the method sft.

    python -m stages.given_traces

Writes data/traces/train.jsonl: id, and what is `heard` with the `analysis` that leads to the answer (MMAR-mini knows
both), or `thinking` (AudioMCQ's traces). Questions of dev and test are left out, whatever their sources tell.
"""

import argparse
from dataclasses import asdict
from pathlib import Path

from audio_reasoning.core.errors import stage_main
from audio_reasoning.core.files import read_jsonl, write_jsonl
from audio_reasoning.core.records import read_questions
from audio_reasoning.core.typed import Strict
from audio_reasoning.tasks.given_traces import GivenTrace, given_traces
from audio_reasoning.tasks.params import Data
from stages.layout import GIVEN_TRACES, QUESTIONS, SOURCES
from stages.params import load_params


class Params(Strict):
    """What the stage reads."""

    data: Data


def read_given_traces(path: Path = GIVEN_TRACES) -> dict[str, GivenTrace]:
    """What this stage wrote, by the question's id."""
    return {row["id"]: GivenTrace(**row) for row in read_jsonl(path)}


@stage_main
def main() -> None:
    """Run the stage."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    found: dict[str, GivenTrace] = {}
    for name in load_params(Params, "data.sources").data.sources:
        for file in ("annotations.jsonl", "questions.jsonl"):  # evidence beside a question tells more
            found |= {trace.id: trace for trace in given_traces(read_jsonl(SOURCES / name / file))}
    ids = [question.id for question in read_questions(QUESTIONS / "train.jsonl")]
    write_jsonl(GIVEN_TRACES, [asdict(found[name]) for name in ids if name in found])
    print(f"{GIVEN_TRACES}: {sum(name in found for name in ids)} of {len(ids)} train questions have a trace")


if __name__ == "__main__":
    main()
