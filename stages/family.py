"""The families of comparisons that the parameters declare, each judged together; all others are exploratory.

`compare` declares one. `models` declares two: each trained model with the base under the same prompt, and with the
model that it started from, where that is not the base.
"""

from collections.abc import Iterable, Mapping, Sequence

from audio_reasoning.core.runs import BASE, Run
from audio_reasoning.metrics.inputs import Questions, check_current, read_samples
from audio_reasoning.metrics.paired import Method, Pair, judged, none_answered, scores_of
from audio_reasoning.metrics.results import Judged
from stages.layout import answers_file, metrics_file

Scores = dict[str, list[float]]  # by run: a strict score for each question, in order
Contrasts = Sequence[tuple[Run, Run]]


def with_base(starts: Mapping[str, str], prompts: Iterable[str]) -> list[tuple[Run, Run]]:
    """Each model beside the base under each prompt; `starts` tells which one each started from."""
    return [(Run(prompt), Run(prompt, name)) for prompt in prompts for name in starts]


def with_start(starts: Mapping[str, str], prompts: Iterable[str]) -> list[tuple[Run, Run]]:
    """Each model beside the one that it started from, where that is not the base."""
    return [
        (Run(prompt, start), Run(prompt, name)) for prompt in prompts for name, start in starts.items() if start != BASE
    ]


def read_scores(runs: Iterable[Run], questions: Questions, *, scored: Iterable[Run] = ()) -> tuple[Scores, set[str]]:
    """The scores of runs, each read once, and the names of those without any answer.

    Raises UserError for a run whose answers are absent, incomplete or, of the runs that are `scored`, give another
    accuracy than their metrics file.
    """
    checked = {*scored}
    scores: Scores = {}
    unread = set()
    for run in dict.fromkeys(runs):
        samples = read_samples(answers_file(run), questions, complete=True)
        strict = scores_of(samples, questions)
        if run in checked:
            check_current(metrics_file(run), {"acc_strict": sum(strict) / len(strict)}, answers_file(run))
        scores[run.name] = strict
        if none_answered(samples):
            unread.add(run.name)
    return scores, unread


def pairs_of(contrasts: Contrasts, scores: Scores) -> list[Pair]:
    """Each contrast with its scores."""
    return [Pair(a.name, b.name, scores[a.name], scores[b.name]) for a, b in contrasts]


def judge_contrasts(contrasts: Contrasts, questions: Questions, method: Method) -> list[Judged]:
    """Read the runs of all contrasts and compare them as one family; UserError where one cannot be read."""
    scores, unread = read_scores((run for contrast in contrasts for run in contrast), questions)
    return judged(pairs_of(contrasts, scores), [*questions.values()], method, unread)
