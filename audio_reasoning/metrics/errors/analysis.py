"""What goes wrong in one run, and what in all of them: pure, from questions and predictions to what is written."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from audio_reasoning.core.records import Question
from audio_reasoning.core.shown import printable, shortened
from audio_reasoning.metrics.errors.breakdowns import (
    Answered,
    by_question,
    by_response,
    by_rule,
    by_thinking_length,
    chosen_positions,
    overall,
    pairs,
    response_accuracy,
    share,
)
from audio_reasoning.metrics.errors.counts import Counted, numbers_of, summary
from audio_reasoning.metrics.errors.loops import SECOND_THOUGHTS, Repetition, most_repeated, second_thoughts, words_of
from audio_reasoning.metrics.errors.params import Errors
from audio_reasoning.metrics.errors.results import (
    ErrorAnalysis,
    Example,
    Hard,
    Invalid,
    Limits,
    Loop,
    LoopFate,
    RunErrors,
    Thinking,
)
from audio_reasoning.metrics.inputs import Questions, Sample, Samples
from audio_reasoning.metrics.scoring import FATES, score_question

EXAMPLES = 20  # of each kind of failure that are written out; their number is always told


@dataclass(frozen=True)
class Trace:
    """A response's thinking: its words, second thoughts, and the run of words that it repeats most."""

    answered: Answered
    words: int
    second_thoughts: Counter[str]
    repeated: Repetition


def analysis_of(questions: Questions, runs: dict[str, Samples], params: Errors, notes: list[str]) -> ErrorAnalysis:
    """The analysis of each run and of all together.

    The figures are fractions of one, over all runs; DVC shows these alone, since the rest is in lists.
    """
    analysed = [analyse(name, questions, samples, params) for name, samples in runs.items()]
    responses = sum(run.responses for run in analysed)
    invalid = sum(row.n for run in analysed for row in run.invalid if row.status != "missing")
    hardest, easiest = in_common(questions, runs)
    return ErrorAnalysis(
        questions=len(questions),
        invalid=share(invalid, responses),
        looping=share(sum(run.thinking.looping.n for run in analysed), responses),
        none_right=share(len(hardest), len(questions)),
        all_right=share(len(easiest), len(questions)),
        hardest=hardest,
        easiest=easiest,
        params=[Limits(**params.model_dump())],
        notes=notes,
        runs=analysed,
    )


def analyse(run: str, questions: Questions, samples: Samples, params: Errors) -> RunErrors:
    """Everything about one run; see docs/error-analysis.md for the keys."""
    scores = {name: score_question(question, samples.get(name, ())) for name, question in questions.items()}
    answered = pairs(questions, samples)
    whole = overall(questions, scores)
    return RunErrors(
        run=run,
        n=whole.n,
        responses=len(answered),
        acc=whole.acc,
        low=whole.low,
        high=whole.high,
        chance=whole.chance,
        groups=by_question(questions, scores),
        chosen_positions=chosen_positions(answered),
        thinking_length=by_response("thinking_length", by_thinking_length(answered), len(answered)),
        rules=by_response("rule", by_rule(answered), len(answered)),
        counts=summary(_counted(questions, samples)),
        thinking=_thinking(answered, params),
        invalid=_invalid(questions, samples, answered),
    )


def _counted(questions: Questions, samples: Samples) -> list[Counted]:
    """Every response to a question of how many; a question without a prediction gives one without an answer."""
    counted = []
    for name, question in questions.items():
        numbers = numbers_of(question.choices)
        if numbers:
            chosen = [sample.response.answer for sample in samples.get(name, ())] or [None]
            right = numbers[question.answer]
            counted += [Counted(right, None if answer is None else numbers[answer]) for answer in chosen]
    return counted


def _thinking(answered: Sequence[Answered], params: Errors) -> Thinking:
    traces = [_trace(pair, params.loop_ngram) for pair in answered]
    looping = [trace for trace in traces if trace.repeated.times >= params.loop_repeats]
    others = [trace for trace in traces if trace.repeated.times < params.loop_repeats]
    longest_loops = sorted(looping, key=lambda trace: -trace.repeated.times)[:EXAMPLES]
    words = sum(trace.words for trace in traces)
    counts = sum((trace.second_thoughts for trace in traces), Counter[str]())
    return Thinking(
        words=words,
        mean_words=round(words / len(traces), 1) if traces else None,
        per_1000_words={word: round(1000 * counts[word] / words, 2) if words else None for word in SECOND_THOUGHTS},
        looping=_fate_of(looping, len(traces)),
        others=_fate_of(others, len(traces)),
        loops=[
            Loop(
                id=printable(loop.answered[1].response.question_id),
                sample=loop.answered[1].response.sample_index,
                times=loop.repeated.times,
                words=" ".join(loop.repeated.words),
            )
            for loop in longest_loops
        ],
    )


def _trace(pair: Answered, ngram: int) -> Trace:
    words = words_of(pair[1].response.thinking)
    return Trace(pair, len(words), second_thoughts(words), most_repeated(words, ngram))


def _fate_of(traces: Sequence[Trace], total: int) -> LoopFate:
    members = [trace.answered for trace in traces]
    truncated = sum(sample.response.status == "truncated" for _, sample in members)
    return LoopFate(
        n=len(members),
        share=share(len(members), total),
        **vars(response_accuracy(members)),
        truncated=share(truncated, len(members)),
    )


def _invalid(questions: Questions, samples: Samples, answered: Sequence[Answered]) -> list[Invalid]:
    """What is no valid answer, by what became of it, with the rules that found nothing and the first examples."""
    rows = []
    for fate in FATES:
        pairs_of = [pair for pair in answered if pair[1].response.status == fate]
        rules = Counter(sample.response.extraction for _, sample in pairs_of)
        examples = [_example(question, sample) for question, sample in pairs_of[:EXAMPLES]]
        rows.append(_tally(fate, len(pairs_of), len(answered), rules, examples))
    missing = [question for name, question in questions.items() if name not in samples]
    return [*rows, _tally("missing", len(missing), len(questions), {}, [_example(q) for q in missing[:EXAMPLES]])]


def _tally(status: str, n: int, total: int, rules: Mapping[str, int], examples: list[Example]) -> Invalid:
    return Invalid(status=status, n=n, share=share(n, total), rules=dict(rules), examples=examples)


def _example(question: Question, sample: Sample | None = None) -> Example:
    return Example(
        id=printable(question.id),
        sample=sample.response.sample_index if sample else 0,
        rule=sample.response.extraction if sample else "",
        text=_evidence(sample) if sample else "",
        choices=_choices(question),
    )


def _choices(question: Question) -> str:
    return shortened(" / ".join(question.choices))


def _evidence(sample: Sample) -> str:
    """What shows why a response has no answer: the error, the end of what was cut off, or what stands for an answer."""
    if sample.response.status == "truncated":
        return shortened(sample.response.text, keep_end=True)
    return shortened(sample.response.error if sample.response.status == "error" else sample.submitted)


def in_common(questions: Questions, runs: dict[str, Samples]) -> tuple[list[Hard], list[str]]:
    """The questions that no run ever gets right, those most agreed on first, and the ids that all always do."""
    none_right: list[Hard] = []
    all_right: list[str] = []
    for name, question in questions.items():
        scores = [score_question(question, samples.get(name, ())).strict for samples in runs.values()]
        responses = [sample.response for samples in runs.values() for sample in samples.get(name, ())]
        if fmean(scores) == 1:
            all_right.append(printable(name))
        elif not any(scores):
            chosen = Counter(response.answer for response in responses if response.answer is not None)
            favourite, times = chosen.most_common(1)[0] if chosen else (None, 0)
            none_right.append(
                Hard(
                    id=printable(name),
                    sub_category=printable(question.sub_category),
                    question=shortened(question.question),
                    right=shortened(question.choices[question.answer]),
                    chosen=None if favourite is None else shortened(question.choices[favourite]),
                    times=times,
                    responses=len(responses),
                )
            )
    return sorted(none_right, key=lambda row: -row.times), all_right
