"""What a run of the pipeline takes, before it starts: questions, requests, tokens, hours, downloads, disk.

`audio-reasoning plan` prints it. Of questions that are here the real ones are taken, with their clips' seconds and the
tokens of their prompts; of sources that are not, what is stated in plan_sources.py. How long answers are is measured
(--measure), known from answers that are here, or what conf/plan.yaml states.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Any

from audio_reasoning.core.audio import SAMPLE_RATE_HZ
from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import read_json, write_json
from audio_reasoning.core.records import Question, read_questions
from audio_reasoning.core.runs import BASE, Run
from audio_reasoning.families.family import Processor, family_of
from audio_reasoning.prompts.registry import Prompt, load_prompt
from stages.layout import BASE_MODEL, PROMPTS, QUESTIONS, cache_dir, manifest_file
from stages.plan_sources import Expected, expected
from stages.project import Project

MEASURED = 20  # questions
_TEXT = 45  # tokens of a question with its choices, where there are none to look at
_FRAME = 12  # tokens of the chat's form
_MARKS = 2  # tokens around a clip


@dataclass(frozen=True)
class Measured:
    """What 20 questions under each prompt showed: tokens of an answer by prompt, and seconds for each question."""

    model: str
    completion: Mapping[str, float]
    seconds: float


@dataclass
class Here:
    """What is known of the project's questions and answers; see `stages.plan_steps.Known`."""

    project: Project
    exact: bool = True  # prompts are tokenized; else reckoned from their characters, at once
    measured: Measured | None = None
    notes: list[str] = field(default_factory=list)

    @cached_property
    def questions(self) -> dict[str, list[Question]]:
        """The questions that are here, by split; none where they are of other sources than the parameters name."""
        manifest = QUESTIONS / "manifest.json"
        splits = read_json(manifest)["splits"] if manifest.is_file() else {}
        sources = {name for summary in splits.values() for name in summary["by_source"]}
        files = {split: QUESTIONS / f"{split}.jsonl" for split in splits}
        if sources != set(self.project.data.sources) or not all(file.is_file() for file in files.values()):
            return {}
        return {split: read_questions(file) for split, file in files.items()}

    @cached_property
    def expected(self) -> Expected:
        """What the sources are said to hold."""
        return expected(self.project)

    @cached_property
    def processor(self) -> Processor | None:
        """That of the base model, where it is here and is the one that the parameters ask for."""
        if not self.exact or not (BASE_MODEL / "config.json").is_file() or self.project.model.kind != "tiny":
            return None
        return family_of(BASE_MODEL).processor(BASE_MODEL)

    def count(self, split: str) -> int:
        """The questions of a split."""
        here, stated = len(self.questions.get(split, ())), self.expected.questions[split]
        tried = self.project.trial and self.questions  # of those that are here, a trial takes a few
        return min(here, stated) if tried else here if self.questions else stated

    def seconds(self, split: str) -> float:
        """The mean length of a question's clip."""
        found = self.questions.get(split) or []
        return fmean(question.audio.duration_s for question in found) if found else self.expected.seconds[split]

    def prompt(self, split: str, variant: str, condition: str = "") -> float:
        """The mean tokens of a prompt, the clip's included."""
        audio = 0.0 if condition == "text_only" else self._audio_tokens(split) + _MARKS
        return self._text_tokens(split, variant) + audio

    def completion(self, variant: str) -> float:
        """The mean tokens of an answer: measured, of answers that are here, or stated."""
        if self.measured and variant in self.measured.completion:
            return self.measured.completion[variant]
        manifest = manifest_file(Run(variant, BASE))
        if self.questions and manifest.is_file():
            made = read_json(manifest)
            if (
                made["model"]["id"] == self.project.model.id
                and made["decoding"]["max_tokens"] == self.project.infer.max_tokens
            ):
                return float(made["tokens"]["completion"] / made["questions"] / made["decoding"]["n"])
        return min(self.project.plan.completion_tokens, self.project.infer.max_tokens)

    def _audio_tokens(self, split: str) -> float:
        family = family_of(BASE_MODEL) if self.processor else _hub_family()
        found = self.questions.get(split)
        lengths = [question.audio.duration_s for question in found] if found else [self.seconds(split)]
        return fmean(family.audio_tokens(round(s * SAMPLE_RATE_HZ)) for s in lengths) if lengths else 0.0

    def _text_tokens(self, split: str, variant: str) -> float:
        key = split, variant
        if key not in self._texts:
            self._texts[key] = self._measure_text(*key)
        return self._texts[key]

    @cached_property
    def _texts(self) -> dict[tuple[str, str], float]:
        return {}

    def _measure_text(self, split: str, variant: str) -> float:
        prompt, letters = self._prompt(variant), self.project.plan.letters_per_token
        found = self.questions.get(split)
        if not found:
            system, user = prompt.render("", ()) if prompt else ("", "")
            return len(system + user) / letters + _TEXT + _FRAME
        texts = [prompt.render(one.question, one.choices) if prompt else ("", one.question) for one in found]
        if self.processor is None:
            return fmean(len(system + user) for system, user in texts) / letters + _FRAME
        return fmean(len(self.processor.encode(system, user, None).ids) for system, user in texts)

    def _prompt(self, variant: str) -> Prompt | None:
        """None for one that a search is still to write."""
        if variant in self.project.optimize and not (PROMPTS / f"{variant}.yaml").is_file():
            return self._prompt(self.project.optimize[variant].start)
        return load_prompt(variant, PROMPTS)


def _spread(questions: Sequence[Question]) -> list[Question]:
    """Twenty from all over: neighbours are of one kind."""
    return list(questions[:: -(-len(questions) // MEASURED)])


def _hub_family() -> Any:
    from audio_reasoning.families.qwen3_omni.family import FAMILY

    return FAMILY


def measured_file() -> Path:
    """Where what was measured is kept."""
    return cache_dir() / "plan.json"


def read_measured(project: Project) -> Measured | None:
    """What was measured of this project's model; None where that is not the one."""
    if not measured_file().is_file():
        return None
    found = Measured(**read_json(measured_file()))
    return found if found.model == project.model.id else None


def measure(project: Project, questions: Mapping[str, Sequence[Question]]) -> Measured:
    """Ask the served base model 20 questions under each prompt, of dev where there are any, and keep what it took.

    Raises UserError where nothing can be asked, as answering does.
    """
    from audio_reasoning.engines.answer import answer_questions
    from stages.setup import setup_of

    there = next((list(questions[split]) for split in ("dev", "train", "test") if questions.get(split)), [])
    if not there or not BASE_MODEL.is_dir():
        raise UserError("--measure needs questions and the model: `dvc repro questions base_model` makes them")
    asked = _spread(there)
    setup = setup_of(BASE, project.infer.backend, project.serve, project.runtime, project.infer.endpoint_model)
    decoding = project.infer.decoding()
    completion, took = {}, 0.0
    variants = [name for name in project.prompts.variants if (PROMPTS / f"{name}.yaml").is_file()]
    answer_questions(asked[:1], load_prompt(variants[0], PROMPTS), setup, decoding)  # the server starts with the first
    for variant in variants:
        started = time.monotonic()
        rollouts, _ = answer_questions(
            asked, load_prompt(variant, PROMPTS), setup, decoding, project.infer.max_error_rate
        )
        took += time.monotonic() - started
        completion[variant] = fmean(rollout.completion_tokens for rollout in rollouts)
    found = Measured(project.model.id, completion, took / len(asked) / len(variants))
    write_json(measured_file(), vars(found))
    return found
