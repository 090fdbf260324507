"""The tables that `show` prints, each read from metrics/; UserError where a file is missing or not its own."""

from collections.abc import Callable

from audio_reasoning.core.files import read_json
from audio_reasoning.core.runs import BASE, Run
from audio_reasoning.judging import summary as judge_table
from audio_reasoning.metrics.arms_results import ArmsSummary
from audio_reasoning.metrics.errors.results import ErrorAnalysis
from audio_reasoning.metrics.judge_results import JudgeSummary
from audio_reasoning.metrics.leaks import Probed
from audio_reasoning.metrics.results import Metrics, Summary, read_result
from audio_reasoning.metrics.training_results import TrainingSummary
from audio_reasoning.metrics.vote_results import VoteFigures
from audio_reasoning.render import arms_table, compare_models_table, compare_table, errors_markdown
from audio_reasoning.render.prompt_tree import tree_text
from stages import probe as probe_stage
from stages import vote as vote_stage
from stages.layout import METRICS, TRAINING_METRICS, metrics_file
from stages.project import load_project
from stages.prompt_tree import prompt_tree


def prompts() -> str:
    """All prompts side by side, and the declared contrasts; then which prompt was made from which, where any was."""
    variants = load_project().prompts.variants
    metrics = {variant: read_result(metrics_file(Run(variant)), Metrics) for variant in variants}
    table = compare_table.table(metrics, read_result(METRICS / "summary.json", Summary))
    tree = prompt_tree(variants)
    return f"{table}\n\n{tree_text(tree)}" if any(row.parent for row in tree) else table


def arms() -> str:
    """What the control arms say."""
    return arms_table.table(read_result(METRICS / "arms.json", ArmsSummary))


def training(write: Callable[[compare_models_table.Metrics, TrainingSummary], str] = compare_models_table.table) -> str:
    """The trained models beside the base."""
    params = load_project()
    metrics = {
        (model, prompt): read_result(metrics_file(Run(prompt, model)), Metrics)
        for model in (BASE, *params.models)
        for prompt in params.training.eval_prompts
    }
    return write(metrics, read_result(TRAINING_METRICS / "summary.json", TrainingSummary))


def votes() -> str:
    """A line on the votes of each variant that was sampled."""
    folder = METRICS / "votes" / BASE
    variants = load_project().vote.variants
    return "\n".join(vote_stage.line(name, read_result(folder / f"{name}.json", VoteFigures)) for name in variants)


def errors() -> str:
    """Where answers go wrong."""
    return errors_markdown.overview(read_result(METRICS / "errors.json", ErrorAnalysis))


def judge() -> str:
    """How the reasoning was rated."""
    return judge_table.table(read_result(METRICS / "judge.json", JudgeSummary))


def probe() -> str:
    """How far question and choices alone give the answer away."""
    return probe_stage.table([Probed.model_validate(row) for row in read_json(METRICS / "probe.json")["rows"]])
