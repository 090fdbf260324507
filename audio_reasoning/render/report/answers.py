"""The answers of every run, for the page's browser of questions.

What the list and the flips need is small and loaded with the page. What one question's detail needs, traces above
all, is a file a run, compressed, loaded when the run is looked at.
"""

import base64
import json
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import read_json
from audio_reasoning.core.records import Response, Status
from audio_reasoning.core.runs import Run
from audio_reasoning.metrics.inputs import Questions, check_current, read_samples
from audio_reasoning.tasks.reward import correct

# How a sample's answer is told in one small number: the choice's index, or why there is none.
NO_CHOICE: dict[Status, int] = {"truncated": -1, "no_answer": -2, "error": -3}


@dataclass(frozen=True)
class RunAnswers:
    """A run's answers in the order of the questions, each with the same number of samples, and what made them."""

    run: Run
    manifest: dict[str, Any]
    samples: tuple[tuple[Response, ...], ...]
    right: tuple[tuple[bool, ...], ...]

    @property
    def accuracy(self) -> float:
        """The share of right samples."""
        flat = [right for sample in self.right for right in sample]
        return sum(flat) / len(flat)


def read_run(run: Run, questions: Questions, predictions: Path, manifest: Path, metrics: Path) -> RunAnswers:
    """Read a run's answers to the questions from its files; its metrics may not be there.

    Raises UserError for a prediction file that does not fit the questions, lacks its manifest, or gives another
    accuracy than its metrics file.
    """
    by_id = read_samples(predictions, questions, complete=True)
    samples = tuple(tuple(sample.response for sample in by_id[name]) for name in questions)
    right = tuple(
        tuple(correct(question, response) for response in responses)
        for question, responses in zip(questions.values(), samples, strict=True)
    )
    answers = RunAnswers(run, read_manifest(manifest), samples, right)
    if metrics.is_file():  # page and metrics must not tell two stories
        check_current(metrics, {"acc_strict": answers.accuracy}, predictions)
    return answers


def read_manifest(path: Path) -> dict[str, Any]:
    """What made a run's answers; UserError unless it names the prompt and the hash of its text."""
    manifest = read_json(path)
    prompt = manifest.get("prompt") if isinstance(manifest, dict) else None
    for key in ("name", "text_hash"):
        if not isinstance(prompt, dict) or not isinstance(prompt.get(key), str):
            raise UserError(f"{path}: needs prompt.{key}; the stage that writes it makes it anew: `dvc repro`")
    return dict(manifest)


def page_data(profile: str, questions: Questions, runs: Sequence[RunAnswers], absent: Sequence[Run]) -> dict[str, Any]:
    """What the browser loads at once: questions, and of each run its manifest, choices and which are right."""
    return {
        "profile": profile,
        "questions": [asdict(question) for question in questions.values()],
        "runs": [
            {
                "name": answers.run.name,
                "condition": answers.run.condition,
                "manifest": answers.manifest,
                "samples": len(answers.samples[0]),
                "traces": trace_file(answers.run),
                "answers": [_code(response) for responses in answers.samples for response in responses],
                "right": "".join("01"[right] for sample in answers.right for right in sample),
            }
            for answers in runs
        ],
        "absent": [run.name for run in absent],
    }


def _code(response: Response) -> int:
    return NO_CHOICE[response.status] if response.answer is None else response.answer


def trace_file(run: Run) -> str:
    """The name of a run's file of traces.

    >>> trace_file(Run("baseline", "iter1")), trace_file(Run("baseline", condition="silence"))
    ('iter1.baseline.js', 'baseline@silence.js')
    """
    return f"{run.name.replace('/', '.')}.js"


def traces_script(answers: RunAnswers) -> str:
    """A script that hands over a run's traces: zlib in base64, since a page from a file can load nothing but scripts.

    By question and sample: the thinking, the rest of the output, the rule that found the answer, the finish reason,
    prompt and completion tokens, and the error.
    """
    rows = [[_trace(response) for response in responses] for responses in answers.samples]
    packed = base64.b64encode(zlib.compress(json.dumps(rows, separators=(",", ":")).encode(), level=9)).decode()
    return f"window.report.traces.add({script_json(answers.run.name)},{script_json(packed)});\n"


def _trace(response: Response) -> list[str | int]:
    return [
        response.thinking,
        answer_part(response),
        response.extraction,
        response.finish_reason,
        response.prompt_tokens,
        response.completion_tokens,
        response.error,
    ]


def answer_part(response: Response) -> str:
    """What of the output is not thinking: all of it where thinking was given apart, nothing where it never ended.

    >>> common = dict(question_id="q", sample_index=0, status="ok", answer=0, extraction="", finish_reason="stop")
    >>> tokens = dict(prompt_tokens=0, completion_tokens=0)
    >>> answer_part(Response(text="<think>It barks.</think> ANSWER: Dog", thinking="It barks.", **common, **tokens))
    'ANSWER: Dog'
    """
    _, tag, after = response.text.rpartition("</think>")
    unfinished = not tag and response.thinking and response.thinking in response.text
    return "" if unfinished else after.strip()


def script_json(value: Any) -> str:
    r"""JSON that is safe inside a script, inline or not: ASCII, so no line separators, and no `<`.

    >>> print(script_json("</script><!-- \u2028"))
    "\u003c/script>\u003c!-- \u2028"
    """
    return json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
