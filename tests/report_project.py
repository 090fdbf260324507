"""A project to build a report of: questions, runs that answer them, and what `score` and `compare` say of two runs."""

import copy
import random
from collections.abc import Sequence
from functools import reduce
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from audio_reasoning.core.files import write_json, write_jsonl
from audio_reasoning.core.records import Audio, Question, Response, to_dict
from audio_reasoning.core.runs import Run
from audio_reasoning.metrics.optimize_results import Optimization
from audio_reasoning.metrics.results import Metrics, Summary
from stages.layout import QUESTIONS, answers_file, manifest_file

ROOT = Path(__file__).parents[1]
KINDS = [
    ("Content Analysis", "Semantic Layer", "speech"),
    ("Music Theory", "Perception Layer", "music"),
    ("Imagination", "Cultural Layer", "mix-sound-speech"),
]
HOSTILE = "<script>window.pwned = 1</script><img src=x onerror='window.pwned = 2'>\"'&amp; </textarea>-->\u2028🔔 𝄞"
# Of 12 questions, right under: baseline 0-6, expert_analyst 4-9.
WON, LOST, BOTH, NEITHER = 3, 4, 3, 2


def question(index: int, **other) -> Question:
    sub_category, category, modality = KINDS[index % len(KINDS)]
    fields = {
        "id": f"q{index:04}",
        "audio": Audio(f"mini/q{index:04}.flac", f"{index:064}", 1.5),
        "question": f"What is heard in clip {index}?",
        "choices": ("a bell", "rain", "a dog", "wind"),
        "answer": index % 4,
        "category": category,
        "sub_category": sub_category,
        "modality": modality,
        "language": "en",
        "source": "mini",
        "group": f"g{index}",
    }
    return Question(**{**fields, **other})


def response(asked: Question, right: bool = True, sample: int = 0, thinking: str = "It rings.", **other) -> Response:
    answer = asked.answer if right else (asked.answer + 1) % len(asked.choices)
    fields = {
        "question_id": asked.id,
        "sample_index": sample,
        "status": "ok",
        "text": f"<think>{thinking}</think>\nANSWER: {asked.choices[answer]}",
        "thinking": thinking,
        "answer": answer,
        "extraction": "verbatim",
        "finish_reason": "stop",
        "prompt_tokens": 50,
        "completion_tokens": 1234,
    }
    return Response(**{**fields, **other})


def write_params(folder: Path, variants: Sequence[str], sampled: Sequence[str] = ()) -> None:
    """The repository's parameters, but for what is run."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["prompts"]["variants"] = list(variants)
    params["arms"]["variants"] = []
    params["vote"]["variants"] = list(sampled)
    params["models"], params["training"]["eval_prompts"] = {}, [variants[0]]
    params["headline"]["variant"] = params["submission"]["run"] = variants[0]
    params["judge"]["runs"] = []
    (folder / "params.yaml").write_text(yaml.safe_dump(params))


def write_questions(folder: Path, questions: Sequence[Question]) -> None:
    write_jsonl(folder / QUESTIONS / "test.jsonl", map(to_dict, questions))


def write_run(folder: Path, run: Run, responses: Sequence[Response]) -> None:
    """A run's answers, and what made them."""
    write_jsonl(folder / answers_file(run), map(to_dict, responses))
    manifest = {
        "prompt": {"name": run.variant, "version": 3, "text_hash": "0123456789ab" + "0" * 52},
        "model": {"id": "mini-thinker", "revision": "scratch", "adapter": None, "model": None},
        "decoding": {"temperature": 0.1, "max_tokens": 64},
    }
    write_json(folder / manifest_file(run), manifest)


def filled(kind: Any, value: Any) -> Any:
    """A metrics file of that kind with these values: zeros and blanks stand for what else it needs, in place."""
    blanks = {"missing": 0, "string_type": "", "list_type": [], "dict_type": {}, "literal_error": "exploratory"}
    blanks |= {"model_type": {}, "model_attributes_type": {}}
    put: set[tuple[Any, ...]] = set()
    while True:
        try:
            TypeAdapter(kind).validate_python(value)
        except ValidationError as error:
            mistakes = [one for one in error.errors() if one["type"] == "missing" or one["loc"] in put]
            if not mistakes:
                raise
            for one in mistakes:
                parent = reduce(lambda part, key: part[key], one["loc"][:-1], value)
                parent[one["loc"][-1]] = copy.copy(blanks[one["type"]])
                put.add(one["loc"])
        else:
            return value


def versus(a: str, b: str, **other: Any) -> dict[str, Any]:
    """A judged comparison as `compare` writes it."""
    fields = {"a": a, "b": b, "difference": -0.1, "low": -0.3, "high": 0.1, "p": 0.7, "p_holm": 0.7}
    fields |= {"only_a": LOST, "only_b": WON, "detectable": 0.4, "verdict": "not distinguishable"}
    return {**fields, "verdict_text": "not distinguishable: this test can see 40.0 points", **other}


def write_comparison(folder: Path, contrasts: Sequence[dict[str, Any]] = ()) -> None:
    """Metrics of baseline and expert_analyst as `score` and `compare` write them, as far as the overview reads them.

    `contrasts` are the declared comparisons, to which breakdowns by sub-category are added.
    """
    row = {"n": 12, "low": 0.2, "high": 0.8}
    groups = [("all", "all", 0.5), ("sub_category", HOSTILE, 0.25)]
    for name, acc in (("baseline", 7 / 12), ("expert_analyst", 0.5)):
        figures = {"n": 12, "acc_strict": round(acc, 4), "acc_official": 0.5}
        figures |= {"truncated": 0.0, "no_answer": 0.25, "error": 0.0}
        detail = {**row, "official_low": 0.21, "official_high": 0.79}
        write_json(folder / f"metrics/scores/base/{name}.json", filled(Metrics, {**figures, "detail": [detail]}))
    rows = [
        {"variant": name, "by": by, "name": group, "acc": acc, **row}
        for name in ("baseline", "expert_analyst")
        for by, group, acc in groups
    ]
    write_json(folder / "metrics/compare.json", rows)
    parts = {"improves": 1, "worsens": 2, "rise": [], "fall": [HOSTILE], "rows": [{"n": n} for n in (7, 5, 0)]}
    summary = {
        "versus_baseline": [versus("baseline", "expert_analyst")],
        "contrasts": [{**contrast, "sub_category": parts} for contrast in contrasts],
        "notes": [],
    }
    write_json(folder / "metrics/summary.json", filled(Summary, copy.deepcopy(summary)))


def search(name: str, chosen: int = 1, **other: Any) -> dict[str, Any]:
    """A search for a prompt as `optimize_prompt` writes it: from baseline, with one candidate beside it."""
    texts = ["Listen.\nThink.", f"Listen.\nCount. {HOSTILE}"]
    trials = [(0, 0.5, 40, True, 0.5, 40), (1, 0.9, 10, False, 0.5, 50), (1, 0.75, 40, True, 0.75, 90)]
    keys = ("candidate", "score", "questions", "whole", "best", "answers")
    selected = {"low": 0.35, "high": 0.65, "n": 40}
    fields = {
        "name": name,
        "optimizer": "mipro",
        "start": "baseline",
        "proposer": "bank",
        "outcome": "found" if chosen else "kept",
        "chosen": chosen,
        "candidates": [
            {"label": label, "instruction": text} for label, text in zip(("start", "count"), texts, strict=True)
        ],
        "trials": [{"number": n, **dict(zip(keys, trial, strict=True))} for n, trial in enumerate(trials)],
        "validation": {"start": {"acc": 0.5, **selected}, "result": {"acc": 0.75 if chosen else 0.5, **selected}},
        "heldout": {"acc_a": 0.4, "acc_b": 0.6, "n": 50, "difference": 0.2, "low": 0.05, "high": 0.35, "p": 0.0123},
        "usage": {"answers": 1234, "prompt_tokens": 56789, "proposer_calls": 7, "cost": None},
        "refused": {"repeated": 2},
    }
    return dict(filled(Optimization, {**fields, **other}))


def write_large(folder: Path, questions: int, runs: int, thinking_words: int) -> list[str]:
    """Runs whose traces are words drawn as unevenly as those of a language (Zipf), which is how well they compress.

    The names of their prompts are returned.
    """
    rng = random.Random(0)
    letters = "etaoinshrdlucmfwypvbgkjqxz"
    words = ["".join(rng.choices(letters, k=rng.randint(2, 9))) for _ in range(8_000)]
    weights = [1 / (rank + 3) for rank in range(len(words))]
    asked = [question(index) for index in range(questions)]
    variants = [f"prompt_{chr(ord('a') + number)}" for number in range(runs)]
    write_params(folder, variants)
    write_questions(folder, asked)
    for variant in variants:
        traces = [" ".join(rng.choices(words, weights, k=thinking_words)) for _ in asked]
        answers = [response(q, rng.random() < 0.6, thinking=t) for q, t in zip(asked, traces, strict=True)]
        write_run(folder, Run(variant), answers)
    return variants
