"""Stage `report`: the page that shows, and lets hear, what changed.

    python -m stages.report

Writes reports/index.html and reports/report_files/ (scripts, style, questions, and each run's traces in a file of
its own). The page needs no server and nothing from the network: open it, or send both together. Clips stay where
they are, in data/audio/.
"""

import argparse

from audio_reasoning.core.errors import stage_main
from audio_reasoning.core.files import atomic_dir, atomic_write
from audio_reasoning.core.run_names import Headline
from audio_reasoning.core.runs import BASE
from audio_reasoning.core.typed import Name
from audio_reasoning.metrics.inputs import read_question_set
from audio_reasoning.metrics.key_results import key_results, not_there
from audio_reasoning.render.report.answers import page_data, read_run, script_json, trace_file, traces_script
from audio_reasoning.render.report.arms import arms_section
from audio_reasoning.render.report.failures import errors_section, judge_section
from audio_reasoning.render.report.key_results import key_results_section
from audio_reasoning.render.report.optimized import optimized_section
from audio_reasoning.render.report.page import header_of, render, write_assets
from audio_reasoning.render.report.prompts import prompts_section, sub_categories_section
from audio_reasoning.render.report.sections import Section
from audio_reasoning.render.report.training import models_section, pass_rates_section
from audio_reasoning.render.report.votes import votes_section
from stages.declared import RUNS, DeclaredRuns
from stages.key_results import READ, read_study
from stages.layout import (
    METRICS,
    OPTIMIZE_METRICS,
    QUESTIONS,
    REPORT_FILES,
    REPORT_PAGE,
    REPORTS,
    TRAINING_METRICS,
    answers_file,
    manifest_file,
    metrics_file,
)
from stages.params import load_params
from stages.prompt_tree import prompt_tree


class Params(DeclaredRuns):
    """What the stage reads."""

    profile: Name
    headline: Headline


def sections(params: Params) -> list[Section]:
    """The overview's sections, in the order of the questions that a reader asks."""
    study = read_study(params)
    return [
        key_results_section(READ, key_results(study), not_there(study)),
        prompts_section(
            METRICS / "summary.json",
            METRICS / "scores" / BASE,
            params.prompts.variants,
            prompt_tree(params.prompts.variants),
        ),
        sub_categories_section(METRICS / "compare.json", METRICS / "summary.json"),
        optimized_section(OPTIMIZE_METRICS, study.optimizations, METRICS / "summary.json", METRICS / "scores" / BASE),
        arms_section(METRICS / "arms.json"),
        votes_section(METRICS / "votes" / BASE, params.vote.variants),
        models_section(TRAINING_METRICS),
        pass_rates_section(TRAINING_METRICS / "pass_rates.json"),
        errors_section(METRICS / "errors.json", REPORTS / "errors.md", params.headline.variant),
        judge_section(METRICS / "judge.json"),
    ]


@stage_main
def main() -> None:
    """Run the stage."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    params = load_params(Params, *RUNS, "headline.variant", "profile")
    questions = read_question_set(QUESTIONS / "test.jsonl")
    absent = [run for run in params.runs() if not answers_file(run).is_file()]
    runs = [
        read_run(run, questions, answers_file(run), manifest_file(run), metrics_file(run))
        for run in params.runs()
        if run not in absent
    ]
    page = render(header_of(params.profile, questions, runs, absent), sections(params))
    with atomic_dir(REPORT_FILES) as folder:
        write_assets(folder)
        data = page_data(params.profile, questions, runs, absent)
        (folder / "data.js").write_text(f"window.report.store.fill({script_json(data)});\n", encoding="ascii")
        (folder / "traces").mkdir()
        for answers in runs:
            (folder / "traces" / trace_file(answers.run)).write_text(traces_script(answers), encoding="ascii")
    with atomic_write(REPORT_PAGE) as file:
        file.write(page)
    size = sum(path.stat().st_size for path in REPORT_FILES.rglob("*") if path.is_file()) + REPORT_PAGE.stat().st_size
    print(f"{REPORT_PAGE}: {len(questions)} questions, {len(runs)} runs, {size / 1e6:.1f} MB")
    for run in absent:
        print(f"{run.name} has no answers yet: {answers_file(run)} is not there")


if __name__ == "__main__":
    main()
