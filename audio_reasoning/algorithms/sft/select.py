"""What supervised fine-tuning trains on: given traces, as the completions that the model would have written."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from audio_reasoning.algorithms.refusal import RefusedError
from audio_reasoning.algorithms.selecting import Material, Selected
from audio_reasoning.algorithms.sft.forms import thinking_of
from audio_reasoning.algorithms.sft.params import Select
from audio_reasoning.core.records import Question
from audio_reasoning.core.rollouts import Trace

_OPENED = "<think>"


def select(material: Material, settings: Mapping[str, Any]) -> Selected:
    """Traces of train questions in the form that is asked for, drawn at random, choices in a random order.

    No mastered problems are kept apart, since none are sampled: what is forgotten, dev alone tells.
    """
    rule, given, rng = Select.model_validate(settings), material.given(), np.random.default_rng(material.seed)
    names = list(material.questions)
    counts: Counter[str] = Counter()
    taken: Counter[str] = Counter()
    bank: list[Trace] = []
    for place in rng.permutation(len(names)):
        question = material.questions[names[place]]
        order = [int(i) for i in rng.permutation(len(question.choices))]
        if rule.limit is not None and len(bank) == rule.limit:
            counts["over_limit"] += 1
        elif question.id not in given:
            counts["without_trace"] += 1
        elif (thinking := thinking_of(given[question.id], rule.form, question.choices[question.answer])) is None:
            counts["not_in_this_form"] += 1
        elif rule.max_per_sub_category is not None and taken[question.sub_category] == rule.max_per_sub_category:
            counts["over_cap"] += 1
        else:
            taken[question.sub_category] += 1
            bank.append(trace_of(material, question, order, thinking))
    tokens = sum(len(trace.completion_token_ids) for trace in bank)
    metrics = {"form": rule.form, "traces_given": len(given), "completion_tokens": tokens, "dropped": dict(counts)}
    return Selected(
        bank,
        [],
        metrics,
        f"{len(bank)} given traces, {rule.form}, {tokens:,} tokens",
        None if bank else nothing(counts),
    )


def trace_of(material: Material, question: Question, order: list[int], thinking: str) -> Trace:
    """The question's prompt, its choices in that order, and the completion that thinks so and is right."""
    choices = tuple(question.choices[i] for i in order)
    tokenizer = material.processor().tokenizer
    ids = material.prompt_ids(question, choices)
    text = f"{thinking}</think>\nANSWER: {question.choices[question.answer]}"
    if not tokenizer.decode(ids[-8:]).rstrip().endswith(_OPENED):  # where chat templates do not open it already
        text = _OPENED + text
    return Trace(
        problem_id=question.id,
        model=material.model,
        sample_index=0,
        pass_rate=1.0,
        weight=1.0,
        sub_category=question.sub_category,
        group=question.group,
        audio_path=question.audio.path,
        audio_sha256=question.audio.sha256,
        duration_s=question.audio.duration_s,
        text=text,
        prompt_token_ids=ids,
        completion_token_ids=tuple(tokenizer.encode(text + tokenizer.eos_token, add_special_tokens=False)),
    )


def nothing(counts: Counter[str]) -> RefusedError:
    """Why there is no trace to learn."""
    told = ", ".join(f"{reason} {count}" for reason, count in counts.items() if count)
    return RefusedError(
        [f"no train question has a trace that can be learnt in this form (left out: {told})"],
        ["take another form (select.form free takes any thinking)", "add a source with traces, such as audiomcq"],
    )
