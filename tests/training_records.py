"""Questions, samples and traces for tests of self-training."""

from pathlib import Path
from typing import Any

import yaml

from audio_reasoning.algorithms.tree import METHOD_RECIPES
from audio_reasoning.core.files import write_jsonl
from audio_reasoning.core.records import Audio, Question, to_dict
from audio_reasoning.core.rollouts import HEARD, Graded, Trace
from stages.compose import composed
from stages.layout import METHODS_CODE, PROMPTS, QUESTIONS
from stages.models import Models
from stages.params import load_params
from stages.project import Project, parse_project
from stages.recipes import write_recipes

ROOT = Path(__file__).parents[1]
CHOICES = ("a bell", "rain", "a dog", "wind")


def parameters(*overrides: str) -> Project:
    """The mini profile with the preset rest_em and `overrides`; to be called in the project's folder."""
    return parse_project(composed(["models=rest_em", *overrides]), "conf/")


def write_parameters(values: dict[str, Any]) -> None:
    """Make `values` this folder's parameters, and write the recipes of its models."""
    Path("params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    if not PROMPTS.exists():
        PROMPTS.symlink_to(ROOT / PROMPTS)
    METHODS_CODE.mkdir(parents=True, exist_ok=True)
    for name in ("rest.select", "rest.fit"):
        (METHODS_CODE / f"{name}.txt").write_text("as the stage code lists it")
    write_recipes(load_params(Models, "models", *METHOD_RECIPES))


def question(name: str, sub_category: str = "Content Analysis", audio: Audio | None = None) -> Question:
    return Question(
        id=name,
        audio=audio or Audio(f"mini/{name}.flac", f"{name:0>64}", 1.5),
        question="Which sound is heard?",
        choices=CHOICES,
        answer=0,
        category="Semantic Layer",
        sub_category=sub_category,
        modality="sound",
        language=None,
        source="mini",
        group=name,
    )


def sample(
    problem: str, index: int = 0, right: bool = True, ids: tuple[int, ...] = (1, 2, 3), condition: str = HEARD, **other
) -> Graded:
    """A sample of `question(problem)`, whose choices were asked in reverse order; its text says what its grade does."""
    status = other.get("status", "ok")
    said = {"ok": "\nANSWER: " + ("a bell" if right else "wind"), "no_answer": " I cannot tell"}.get(status, "")
    return Graded(
        **{
            "problem_id": problem,
            "condition": condition,
            "sample_index": index,
            "order": (3, 2, 1, 0),
            "correct": right and status == "ok",
            "status": status,
            "text": "<think>a bell rings</think>" + said,
            "finish_reason": "length" if status == "truncated" else "stop",
            "error": "no reply" if status == "error" else "",
            "prompt_token_ids": (7, 8, 9),
            "completion_token_ids": ids,
            **other,
        }
    )


def samples(problem: str, right: int, n: int, **other) -> list[Graded]:
    """`n` samples of one problem, each with tokens of its own, the first `right` of them right."""
    return [sample(problem, i, i < right, (i, i + 1, i + 2, i + 3), **other) for i in range(n)]


def trace(problem: str, ids: tuple[int, ...] = (1, 2, 3), **other) -> Trace:
    return Trace(
        **{
            "problem_id": problem,
            "model": "iter1",
            "sample_index": 0,
            "pass_rate": 0.5,
            "weight": 1.0,
            "sub_category": "Content Analysis",
            "group": problem,
            "audio_path": f"mini/{problem}.flac",
            "audio_sha256": f"{problem:0>64}",
            "duration_s": 1.5,
            "text": "<think>a bell rings</think>\nANSWER: a bell",
            "prompt_token_ids": (7, 8, 9),
            "completion_token_ids": ids,
            **other,
        }
    )


def write_questions(split: str, questions: list[Question]) -> None:
    write_jsonl(QUESTIONS / f"{split}.jsonl", map(to_dict, questions))
