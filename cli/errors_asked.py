"""What `errors --prompt` looks into: a prompt's answers to questions that may decide something about it."""

from dataclasses import replace
from pathlib import Path

from audio_reasoning.core.errors import UserError, nearest
from audio_reasoning.core.files import atomic_write
from audio_reasoning.core.labels import slug
from audio_reasoning.core.records import Question
from audio_reasoning.core.runs import BASE
from audio_reasoning.metrics.errors.analysis import analyse, analysis_of
from audio_reasoning.metrics.errors.failures import failures_of
from audio_reasoning.metrics.results import write_result
from audio_reasoning.render.failures import as_markdown, as_text
from cli.ask_params import asked_params
from cli.ask_questions import questions_to_ask
from cli.ask_results import check_out, samples_of
from stages.answer import answer
from stages.layout import QUESTIONS
from stages.project import load_project


def show_failures(
    prompt: str,
    model: str,
    split: str,
    sub_category: str,
    limit: int | None,
    show: int,
    out: Path | None,
    out_json: Path | None,
) -> None:
    """Ask the questions, print where the answers fail, and write all of it to the files given.

    Raises UserError for the test split, a prompt, model or sub-category that is none, and as `answer` does.
    """
    if split == "test":
        raise UserError(
            "--split test: what fails on the test questions may decide nothing, or their accuracy is no longer that of "
            "new questions; use --split dev"
        )
    path = QUESTIONS / f"{split}.jsonl"
    if out:
        check_out(out, path)
    asked = asked_params(f"{model or BASE}/{Path(prompt).stem}", prompt, "", "", None, {})
    setup = asked.setup()
    questions, media_root = questions_to_ask(path, None, None)
    chosen = _of_sub_category(questions, sub_category, path)[:limit]
    rollouts, _ = answer(asked.run, asked.prompt, chosen, replace(setup, media_root=media_root), asked.params)
    samples, by_id = samples_of(chosen, rollouts), {question.id: question for question in chosen}
    params = load_project().errors
    name = f"{asked.run.name} on {split}"
    run, failures = analyse(name, by_id, samples, params), failures_of(by_id, samples)
    if out_json:
        write_result(out_json, analysis_of(by_id, {name: samples}, params, []))
    if out:
        with atomic_write(out) as file:
            file.write(as_markdown(run, failures, media_root))
    print(as_text(run, failures, media_root, show))
    if out:
        print(out)


def _of_sub_category(questions: list[Question], name: str, path: Path) -> list[Question]:
    """The questions of a sub-category, whose name may be spelt as a metric's key; all where no name is given."""
    names = {question.sub_category for question in questions}
    if name and slug(name) not in map(slug, names):
        raise UserError(f"--sub-category {name}: {path} has none of that name; {nearest(name, names)}")
    return [question for question in questions if not name or slug(question.sub_category) == slug(name)]
