"""What the project has measured, read for the table of key results."""

from audio_reasoning.core.runs import BASE
from audio_reasoning.metrics.key_results import Study
from audio_reasoning.metrics.results import Metrics, Summary, existing_result
from audio_reasoning.metrics.training_results import TrainingSummary
from audio_reasoning.metrics.vote_results import VoteFigures
from audio_reasoning.prompts.aliases import own_name
from stages.declared import DeclaredRuns
from stages.layout import METRICS, OPTIMIZE_METRICS, PROMPTS, TRAINING_METRICS, metrics_file
from stages.optimizations import read_optimizations

SUMMARY, REST_SUMMARY, VOTES = METRICS / "summary.json", TRAINING_METRICS / "summary.json", METRICS / "votes" / BASE
READ = (METRICS / "scores", SUMMARY, OPTIMIZE_METRICS, REST_SUMMARY, VOTES)


def read_study(params: DeclaredRuns) -> Study:
    """All that is there of the runs that the parameters declare; UserError for a metrics file that is not its own."""
    variants = params.prompts.variants
    runs = [run for run in params.runs() if not run.condition]
    metrics = {run.name: existing_result(metrics_file(run), Metrics) for run in runs}
    votes = {name: existing_result(VOTES / f"{name}.json", VoteFigures) for name in params.vote.variants}
    return Study(
        variants=variants,
        metrics={name: values for name, values in metrics.items() if values},
        summary=existing_result(SUMMARY, Summary),
        training=existing_result(REST_SUMMARY, TrainingSummary),
        optimizations=read_optimizations(variants),
        votes={name: values for name, values in votes.items() if values},
        own_names={variant: own_name(variant, PROMPTS) for variant in variants},
    )
