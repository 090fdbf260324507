"""Measure prompt optimisation on `mini` and write benchmarks/optimize.json.

    make bench-optimize                              # both searches of params.yaml with seeds 1 to 3
    make bench-optimize ARGS="--seeds 4 5"
    python -m benchmarks.optimize --table            # the last results as Markdown

Each search is made in this folder's project, from its base model, without writing a prompt or metrics; what it finds is
asked the test questions beside its start, which are compared as the pipeline compares runs. Seconds are of the search
with an empty cache of answers and a server that runs, and of them those in which no request was answered. Nothing else
should run meanwhile.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from audio_reasoning.core.files import write_json
from audio_reasoning.core.records import Question, read_questions, to_dict
from audio_reasoning.engines.cache import ResponseCache
from audio_reasoning.engines.cached import Cached
from audio_reasoning.engines.engine import Decoding, Engine, OnAnswer, Request, open_engine
from audio_reasoning.metrics.paired import Pair, method_of, whole
from audio_reasoning.metrics.results import to_json
from audio_reasoning.optimizers.answers import Answers
from audio_reasoning.optimizers.found import found
from audio_reasoning.optimizers.optimizer import search_of
from audio_reasoning.optimizers.proposers.chosen import proposer_of
from audio_reasoning.prompts.registry import Prompt
from audio_reasoning.tasks.reward import correct
from benchmarks.run import machine
from stages.layout import BASE_MODEL, QUESTIONS
from stages.optimize_prompt import Params, task_of
from stages.project import load_project
from stages.setup import setup_of

RESULTS = Path("benchmarks/optimize.json")


class Timed:
    """An engine that counts the seconds in which it is asked."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.identity, self.keys = engine.identity, engine.keys
        self.gives_token_ids, self.can_continue = engine.gives_token_ids, engine.can_continue
        self.seconds = 0.0

    def generate(self, requests: Sequence[Request], decoding: Decoding, known: int, on_answer: OnAnswer) -> None:
        """Ask the engine."""
        started = time.monotonic()
        self._engine.generate(requests, decoding, known, on_answer)
        self.seconds += time.monotonic() - started


def measured(name: str, seed: int, params: Params) -> dict[str, Any]:
    """One search with one seed: what it found, on validation, held-out and test questions, and its seconds."""
    params = params.model_copy(
        update={"optimize": {name: params.optimize[name].model_copy(update={"seed": seed})}}, deep=True
    )
    task, infer = task_of(name, params), params.infer
    setup = setup_of("base", infer.backend, params.serve, params.runtime, infer.endpoint_model)
    decoding = infer.decoding().model_copy(update={"n": 1})
    engine = Timed(open_engine(setup))
    with _empty_cache() as cache:
        answers = Answers(Cached(engine, cache), decoding, infer.max_error_rate, BASE_MODEL)
        test = read_questions(QUESTIONS / "test.jsonl")
        before = _right(answers, test, task.start)  # starts the server
        answers.asked = answers.prompt_tokens = answers.completion_tokens = 0
        engine.seconds, started = 0.0, time.monotonic()
        search = search_of(task, answers, proposer_of(task, engine, cache, params.runtime), setup)
        prompt, result = found(task, search, answers)
        seconds, asked = time.monotonic() - started, engine.seconds
        after = _right(answers, test, replace(prompt, name=f"{name}_{seed}"))
    compared = whole(Pair(task.start.name, name, before, after), test, method_of(params.compare))
    return {
        "optimizer": result.optimizer,
        "start": result.start,
        "outcome": result.outcome,
        "label": result.candidates[result.chosen].label,
        "answers": result.usage.answers,
        "validation": to_json(result.validation),
        "heldout": to_json(result.heldout),
        "test": to_dict(compared) | {"acc_start": sum(before) / len(test), "acc_result": sum(after) / len(test)},
        "seconds": round(seconds, 1),
        "share_outside_requests": round(1 - asked / seconds, 3),
        "on": machine(),
    }


def _right(answers: Answers, questions: list[Question], prompt: Prompt) -> list[float]:
    responses = answers.responses(questions, prompt)
    return [float(correct(question, response)) for question, response in zip(questions, responses, strict=True)]


@contextmanager
def _empty_cache() -> Iterator[ResponseCache]:
    with tempfile.TemporaryDirectory() as folder:
        cache = ResponseCache(Path(folder) / "responses.sqlite")
        try:
            yield cache
        finally:
            cache.close()


def table(results: dict[str, Any]) -> str:
    """The results as Markdown."""

    def points(row: dict[str, Any]) -> str:
        return f"{100 * row['difference']:+.1f} [{100 * row['low']:+.1f}, {100 * row['high']:+.1f}]"

    lines = [
        "| search | seed | validation (optimistic) | held out | test | of | answers | seconds | outside requests |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, seeds in results.items():
        for seed, row in seeds.items():
            validation = 100 * (row["validation"]["result"]["acc"] - row["validation"]["start"]["acc"])
            cells = [name, seed, f"{validation:+.1f}", points(row["heldout"]), points(row["test"]), row["label"]]
            cells += [f"{row['answers']:,}", f"{row['seconds']:.0f}", f"{100 * row['share_outside_requests']:.0f} %"]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure what is asked for; the rest keeps its last figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", nargs="*", type=int, default=[1, 2, 3], help="values of optimize.<name>.seed")
    parser.add_argument("--table", action="store_true", help="print the last results and measure nothing")
    args = parser.parse_args()
    results: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    if not args.table:
        project = load_project()
        params = Params.model_validate(project.model_dump(include=set(Params.model_fields), by_alias=True))
        for name in params.optimize:
            for seed in args.seeds:
                results.setdefault(name, {})[str(seed)] = measured(name, seed, params)
                write_json(RESULTS, results)
                print(name, seed, "done", flush=True)
    print(table(results))


if __name__ == "__main__":
    main()
