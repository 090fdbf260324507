"""Combining sources: labels in one taxonomy, and of each source no more than its share and its limit."""

import dataclasses
import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from audio_reasoning.core.errors import UserError, nearest
from audio_reasoning.core.records import Question
from audio_reasoning.core.taxonomy import LAYER_OF
from audio_reasoning.tasks.combine_params import Part
from audio_reasoning.tasks.mmar_schema import Row


def relabelled(rows: Sequence[Row], labels: Mapping[str, str]) -> list[Row]:
    """The rows under the taxonomy's sub-categories and layers, by a map from the source's own sub-categories.

    Without a map they stay as they are. Raises UserError, which names all of them, for sub-categories that neither the
    map nor the taxonomy knows.
    """
    if not labels:
        return list(rows)
    unknown = Counter(row.sub_category for row in rows if row.sub_category not in {*labels, *LAYER_OF})
    if unknown:
        named = ", ".join(f"{name!r} ({count} questions)" for name, count in sorted(unknown.items()))
        hint = nearest(min(unknown), LAYER_OF)
        raise UserError(f"neither labels nor the taxonomy knows the sub-categories {named}: map them; {hint}")
    named_anew = []
    for row in rows:
        sub_category = labels.get(row.sub_category, row.sub_category)
        named_anew.append(dataclasses.replace(row, category=LAYER_OF[sub_category], sub_category=sub_category))
    return named_anew


def taken(questions: Sequence[Question], part: Part, seed: int) -> list[Question]:
    """What `part` takes of one source's questions in one split, in their order.

    Of each sub-category its share, and of all at most the limit, which is divided as the shares leave them. Clips are
    drawn by the seed and their names: a question more in the source moves no others, and clips stay whole as far as
    the numbers allow.
    """
    of_each: defaultdict[str, list[Question]] = defaultdict(list)
    for question in sorted(questions, key=lambda question: _place(question, seed)):
        of_each[question.sub_category].append(question)
    wanted = {name: part.sub_categories.get(name, part.share) * len(there) for name, there in of_each.items()}
    total = round(sum(wanted.values()))
    counts = apportioned(wanted, total if part.limit is None else min(total, part.limit))
    kept = {question.id for name, there in of_each.items() for question in there[: counts[name]]}
    return [question for question in questions if question.id in kept]


def _place(question: Question, seed: int) -> tuple[str, str]:
    return hashlib.sha256(f"{seed}/{question.group}".encode()).hexdigest(), question.id


def apportioned(wanted: Mapping[str, float], total: int) -> dict[str, int]:
    """Whole numbers in proportion to `wanted`, which add up to `total`: largest remainders round them.

    >>> apportioned({"a": 2.5, "b": 1.5, "c": 0.0}, 2)
    {'a': 1, 'b': 1, 'c': 0}
    """
    scale = total / (sum(wanted.values()) or 1)
    counts = {name: int(value * scale + 1e-9) for name, value in wanted.items()}
    by_remainder = sorted(wanted, key=lambda name: counts[name] - wanted[name] * scale)
    for name in by_remainder[: total - sum(counts.values())]:
        counts[name] += 1
    return counts


def check_shares(rows: Iterable[Row], part: Part) -> None:
    """Raise UserError for a share of a sub-category that neither the source nor the taxonomy has."""
    there = {row.sub_category for row in rows} | set(LAYER_OF)
    for name in part.sub_categories:
        if name not in there:
            raise UserError(f"sub_categories: neither the source nor the taxonomy has {name!r}; {nearest(name, there)}")
