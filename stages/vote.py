"""Stage `vote`: from several samples a question, the answer that most of them give, and what that is worth.

    python -m stages.vote --variant baseline

Reads data/samples/base/<variant>@samples.jsonl. Writes data/votes/base/<variant>@vote.jsonl, one Response a question:
the voted answer, with a trace of one of the samples that gave this very answer (`vote.trace` says which; `sample_index`
is its number). In a tie that is the tied answer of the earliest sample, since a submission needs one. Where no sample
answered, it is the first sample with the status that most of them have.

metrics/votes/base/<variant>.json holds, in fractions of one: `acc_mean` of single samples, `acc_vote` (ties shared, so
no luck of the order is in it), `pass_at_n`, `ece` and `brier` of agreement as confidence with their intervals
(`ece_low`, `ece_high`, …), and the shares of questions `tied` and `unanswered` (by all samples). In lists, which DVC
does not show: `detail`, the two accuracies with their 95 % intervals; `comparison`, vote against mean, paired; `curve`,
the expected vote and pass@k of k samples, whose ends are these two accuracies; and `calibration`. An interval is that
of a bootstrap over clips, and of an accuracy at least Wilson's: where all questions are right, there is nothing to
resample. Both sets of answers are scored like all others, in <variant>@samples.json and @vote.json beside it; there a
vote's tie is broken as above.
"""

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from statistics import fmean
from typing import Any, TypeVar

import numpy as np

from audio_reasoning.core.errors import stage_main
from audio_reasoning.core.files import read_json, write_json, write_jsonl
from audio_reasoning.core.records import Response, to_dict
from audio_reasoning.core.runs import BASE, SAMPLES, VOTE, Run
from audio_reasoning.core.typed import Strict
from audio_reasoning.metrics.inputs import Questions, Samples, read_question_set, read_samples
from audio_reasoning.metrics.paired import Method, compared, method_of, rounded
from audio_reasoning.metrics.resampling import Resampling
from audio_reasoning.metrics.results import Manifest, write_result
from audio_reasoning.metrics.scoring import metrics_of
from audio_reasoning.metrics.stats import (
    Z,
    bootstrap_means,
    compare_runs,
    least_error,
    mean_interval,
    percentile_interval,
    wilson,
)
from audio_reasoning.metrics.vote_params import Vote
from audio_reasoning.metrics.vote_results import CalibrationBin, CurvePoint, End, VoteFigures
from audio_reasoning.metrics.voting import (
    Bin,
    Votes,
    brier_losses,
    calibration,
    calibration_error,
    calibration_gaps,
    count_votes,
    pass_at_k,
    vote_curve,
    vote_score,
)
from audio_reasoning.render.tables import percent_range
from stages.layout import METRICS, QUESTIONS, answers_file, manifest_file, metrics_file
from stages.params import load_params

Item = TypeVar("Item")

DEFAULTS = Method()


class Params(Strict):
    """What the stage reads."""

    vote: Vote
    compare: Resampling


def voted(responses: Sequence[Response], vote: Vote) -> Response:
    """The one of a question's samples that stands for all of them; see the module's text."""
    answered = [response for response in responses if response.answer is not None]
    if not answered:
        status = _most_common([response.status for response in responses])
        return next(response for response in responses if response.status == status)
    winner = _most_common([response.answer for response in answered])
    return _spokesman([response for response in answered if response.answer == winner], vote)


def _most_common(values: Sequence[Item]) -> Item:
    """The most common value; of several, the one that comes first."""
    counts = Counter(values)
    return max(counts, key=counts.__getitem__)


def _spokesman(supporters: Sequence[Response], vote: Vote) -> Response:
    """The supporter whose trace is quoted: of those with a short enough trace, if there are any."""
    eligible = [r for r in supporters if len(r.thinking) < vote.max_trace_chars] or supporters
    if vote.trace == "first":
        return eligible[0]
    by_length = sorted(eligible, key=lambda response: len(response.thinking))
    return by_length[0 if vote.trace == "shortest" else (len(by_length) - 1) // 2]  # of an even number, the lower


def vote_metrics(
    variant: str, questions: Questions, responses: dict[str, list[Response]], method: Method = DEFAULTS
) -> VoteFigures:
    """The content of metrics/votes/base/<variant>.json; see the module's text. All questions have as many samples."""
    votes = [count_votes(responses[name], question.answer) for name, question in questions.items()]
    groups = [question.group for question in questions.values()]
    means, scores, bins = [v.right / v.n for v in votes], [vote_score(v) for v in votes], calibration(votes)
    of_samples, of_vote = (Run(variant, condition=condition).name for condition in (SAMPLES, VOTE))
    curve = _curve(votes, groups, method)
    versus = compare_runs(of_samples, of_vote, means, scores, groups, resamples=method.resamples, seed=method.seed)
    return rounded(
        VoteFigures(
            acc_mean=fmean(means),
            acc_vote=fmean(scores),
            pass_at_n=curve[-1].pass_at_k,
            **_calibration_figures(votes, bins, groups, method),
            tied=fmean(v.winners > 1 for v in votes),
            unanswered=fmean(v.most == 0 for v in votes),
            n=len(votes),
            samples=votes[0].n,
            detail=[
                End(name=name, acc=point.vote, low=point.vote_low, high=point.vote_high)
                for name, point in ((of_samples, curve[0]), (of_vote, curve[-1]))
            ],
            comparison=[compared(versus)],
            curve=curve,
            calibration=[_bin_row(b) for b in bins],
        )
    )


def _curve(votes: Sequence[Votes], groups: Sequence[str], method: Method) -> list[CurvePoint]:
    points = []
    for k in range(1, votes[0].n + 1):
        vote = [vote_curve(v)[k - 1] for v in votes]
        passes = [pass_at_k(v.n, v.right, k) for v in votes]
        low, high = mean_interval(vote, groups, method.resamples, method.seed)
        pass_low, pass_high = mean_interval(passes, groups, method.resamples, method.seed)
        points.append(
            CurvePoint(
                k=k,
                vote=fmean(vote),
                vote_low=low,
                vote_high=high,
                pass_at_k=fmean(passes),
                pass_low=pass_low,
                pass_high=pass_high,
            )
        )
    return points


def _calibration_figures(
    votes: Sequence[Votes], bins: Sequence[Bin], groups: Sequence[str], method: Method
) -> dict[str, Any]:
    """`ece` and `brier` with their intervals, which reach at least as far as one question more going each way."""
    losses = brier_losses(votes)
    figures = {"ece": calibration_error(bins), "brier": fmean(losses)}
    if len(set(groups)) < 2:  # one clip alone tells nothing
        return {**figures, "ece_low": 0.0, "ece_high": 1.0, "brier_low": 0.0, "brier_high": 1.0}
    *gaps, brier = bootstrap_means([*calibration_gaps(votes), losses], groups, method.resamples, method.seed)
    least = Z * least_error(len(votes))
    for key, drawn in (("ece", np.abs(gaps).sum(axis=0)), ("brier", brier)):
        low, high = percentile_interval(drawn)
        figures[f"{key}_low"] = max(0.0, min(low, figures[key] - least))
        figures[f"{key}_high"] = min(1.0, max(high, figures[key] + least))
    return figures


def _bin_row(b: Bin) -> CalibrationBin:
    low, high = wilson(b.accuracy * b.n, b.n)
    return CalibrationBin(**asdict(b), accuracy_low=low, accuracy_high=high)


def _scores(run: Run, questions: Questions, samples: Samples, manifest: Manifest) -> None:
    write_result(metrics_file(run), metrics_of(questions, samples, [manifest]))


@stage_main
def main() -> None:
    """Run the stage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", required=True, help="a prompt variant that was sampled: one of vote.variants")
    variant = parser.parse_args().variant
    params = load_params(Params, "compare.resamples", "compare.seed", "vote.max_trace_chars", "vote.trace")
    vote = params.vote
    sampled, votes = (Run(variant, condition=condition) for condition in (SAMPLES, VOTE))
    questions = read_question_set(QUESTIONS / "test.jsonl")
    samples = read_samples(answers_file(sampled), questions, complete=True)
    responses = {
        name: sorted((sample.response for sample in samples[name]), key=lambda r: r.sample_index) for name in questions
    }
    manifest = read_json(manifest_file(sampled))
    rule = {"trace": vote.trace, "max_trace_chars": vote.max_trace_chars}
    write_jsonl(answers_file(votes), (to_dict(voted(responses[name], vote)) for name in questions))
    write_json(manifest_file(votes), {**manifest, "vote": rule})
    chosen = read_samples(answers_file(votes), questions, complete=True)
    _scores(sampled, questions, samples, manifest)
    _scores(votes, questions, chosen, {**manifest, "vote": rule})
    metrics = vote_metrics(variant, questions, responses, method_of(params.compare))
    write_result(METRICS / "votes" / BASE / f"{variant}.json", metrics)
    print(line(variant, metrics))


def line(variant: str, metrics: VoteFigures) -> str:
    """The figures of metrics/votes/base/<variant>.json in a line for a terminal, with their 95 % intervals."""
    (mean, vote), last = metrics.detail, metrics.curve[-1]
    shown = (
        ("mean", metrics.acc_mean, mean.low, mean.high),
        ("vote", metrics.acc_vote, vote.low, vote.high),
        (f"pass@{metrics.samples}", metrics.pass_at_n, last.pass_low, last.pass_high),
    )
    accuracies = ", ".join(f"{name} {value:.1%} ({percent_range(low, high)})" for name, value, low, high in shown)
    return (
        f"{variant}: {metrics.n} questions x {metrics.samples} samples; {accuracies}; "
        f"ECE {metrics.ece:.3f} ({metrics.ece_low:.3f}–{metrics.ece_high:.3f}), "
        f"Brier {metrics.brier:.3f} ({metrics.brier_low:.3f}–{metrics.brier_high:.3f}); "
        f"tied {metrics.tied:.1%}, unanswered {metrics.unanswered:.1%}"
    )


if __name__ == "__main__":
    main()
