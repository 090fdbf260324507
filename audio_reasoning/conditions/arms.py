"""Control arms: the test questions with something taken away or moved, to see whether it was the audio.

| arm | what is asked |
|---|---|
| `silence` | the question about silence of its clip's length |
| `mismatched` | the question about another question's clip |
| `text_only` | the question without any audio in the request |
| `permuted` | the question with its choices in another order, `arms.permutations` orders a question |

Everything else stays as it is: texts, choices, right answers, ids.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from audio_reasoning.conditions.orders import asked_orders, generator
from audio_reasoning.conditions.params import Arms
from audio_reasoning.conditions.silence import silenced
from audio_reasoning.core.errors import UserError
from audio_reasoning.core.records import NO_AUDIO, Question, Response
from audio_reasoning.core.runs import Arm

# What of a clip in another's place can be had, best first: one about which the same answer is right is no control.
FITS = ("same_sub_category_other_answer", "other_sub_category_other_answer", "same_answer")


def asked(questions: Sequence[Question], arm: Arm, arms: Arms) -> list[Question]:
    """What `arm` asks: one question for each of `questions`; of `permuted`, `arms.permutations` in a row for each.

    Silence is written below the media root where it is missing. Raises UserError where `mismatched` finds no
    other clip.
    """
    match arm:
        case "silence":
            return [silenced(question) for question in questions]
        case "mismatched":
            found = zip(questions, donors(questions, arms.seed), strict=True)
            return [replace(question, audio=donor.audio) for question, (donor, _) in found]
        case "text_only":
            return [replace(question, audio=NO_AUDIO) for question in questions]
        case "permuted":
            return [reordered(q, order) for q in questions for order in asked_orders(q, arms.seed, arms.permutations)]


def answered(questions: Sequence[Question], arm: Arm, arms: Arms, responses: Sequence[Response]) -> list[Response]:
    """The responses to what `asked` gave, as responses to `questions`.

    Of `permuted`, which is asked with one sample an order, the answer becomes the index of the choice in the
    question's own order, and `sample_index` the number of the order; letters in `text` are those of the asked order.
    """
    if arm != "permuted":
        return list(responses)
    orders = [order for q in questions for order in enumerate(asked_orders(q, arms.seed, arms.permutations))]
    return [
        replace(response, sample_index=index, answer=None if response.answer is None else order[response.answer])
        for response, (index, order) in zip(responses, orders, strict=True)
    ]


def described(questions: Sequence[Question], arm: Arm, arms: Arms) -> dict[str, Any]:
    """What an arm's manifest says of it: all that `asked` depends on and, of `mismatched`, how the clips fit."""
    if arm == "permuted":
        return {"kind": arm, "seed": arms.seed, "permutations": arms.permutations}
    if arm == "mismatched":
        fits = Counter(fit for _, fit in donors(questions, arms.seed))
        return {"kind": arm, "seed": arms.seed, "clips": {fit: fits[fit] for fit in FITS}}
    return {"kind": arm}


def reordered(question: Question, order: Sequence[int]) -> Question:
    """The question with its choices in that order; the right answer stays right."""
    choices = tuple(question.choices[index] for index in order)
    return replace(question, choices=choices, answer=list(order).index(question.answer))


def donors(questions: Sequence[Question], seed: int) -> list[tuple[Question, str]]:
    """For each question another one, whose clip takes the place of its own, and how well that fits (one of FITS).

    Never one about the same clip or of the same group. If it can be had, one of the same sub-category about whose
    clip no question has the same right answer: the text of this question is then as fitting, and its answer wrong.
    """
    pools: dict[str, list[Question]] = defaultdict(list)
    answers: dict[str, set[str]] = defaultdict(set)  # that are right of a group's clip
    for question in questions:
        pools[question.sub_category].append(question)
        answers[question.group].add(_right(question))

    def donor(question: Question) -> tuple[Question, str]:
        for fit, pool in zip(FITS, (pools[question.sub_category], questions, questions), strict=True):
            found = [
                other
                for other in pool
                if other.group != question.group
                and other.audio.sha256 != question.audio.sha256
                and (fit == "same_answer" or _right(question) not in answers[other.group])
            ]
            if found:
                return found[generator(question, seed).integers(len(found))], fit
        raise UserError(
            f"arms.kinds: mismatched needs another clip for {question.id}, and all test questions are about one; "
            "leave mismatched out, or add questions"
        )

    return [donor(question) for question in questions]


def _right(question: Question) -> str:
    return question.choices[question.answer].strip().casefold()
