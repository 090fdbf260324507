"""Asking once more where thinking did not end, or is too long. Off unless `thinking` in params.yaml says otherwise.

**Budget forcing** (`thinking.force_answer`) is for responses that are `truncated`: the model's own text goes back to it
with the thinking closed (`thinking.closing`), and it writes on from there (Muennighoff et al. 2025,
https://arxiv.org/abs/2501.19393, section 3.1, which also prolongs thinking; that is not done here). Where the thinking
was closed and the answer cut, it writes on as it was. The result is one Response with the joined text, `forced`.

**Re-asking** is for traces that are too long to submit (`thinking.reask_over_chars`) and for responses that are
`truncated` (`thinking.reask_truncated`): the question is asked again, once, with another seed and
`thinking.reask_max_tokens`. The second response replaces the first where it has ended by itself and its trace is within
the limit, or the first has not ended. Either way the record keeps the first trace's length in `reasked_chars`. Whether
an answer is right plays no part. It comes first; what is truncated after it can still be forced.

Of second requests that fail there may be as many as infer.max_error_rate allows. Where asking again fails, the first
response stays, and the manifest counts it; a response that was cut and could not be forced is an error. All requests go
through the response cache.
"""

import sys
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.progress import progress, show_at_end
from audio_reasoning.core.records import Question, Rollout
from audio_reasoning.core.thinking import is_cut, split_thinking, thinking_of
from audio_reasoning.engines.answer import answer_questions, check_errors, request_for
from audio_reasoning.engines.answers import ChatResult
from audio_reasoning.engines.cache import response_cache
from audio_reasoning.engines.cached import Cached
from audio_reasoning.engines.demonstrations import most_clips
from audio_reasoning.engines.engine import Decoding, Setup, open_engine
from audio_reasoning.engines.params import Thinking
from audio_reasoning.families.family import family_of
from audio_reasoning.prompts.registry import Prompt

# Above the seeds of a request's samples, which vLLM counts up from the request's.
RESEED = 1_000


def answer_in_budget(
    questions: Sequence[Question],
    prompt: Prompt,
    setup: Setup,
    decoding: Decoding,
    thinking: Thinking,
    max_error_rate: float = 0.0,
) -> tuple[list[Rollout], dict[str, Any], dict[str, Any]]:
    """`answer_questions`, then what `thinking` asks for: responses, the backend, and what the manifest adds.

    The last is empty where nothing is asked for, and else {"thinking": …}: the parameters, and how many responses were
    asked again (`reasked`), replaced by that (`replaced`) or not, since that request failed (`reask_failed`), and
    `forced`.

    Raises UserError as `answer_questions` does, when more of the second requests fail than `max_error_rate`
    allows, and when an engine is to force answers that cannot continue a text.
    """
    if thinking.force_answer and not open_engine(setup).can_continue:
        raise UserError(
            f"thinking.force_answer needs infer.backend vllm, found {setup.backend}: only there can a request "
            "continue the model's own text. Set thinking.force_answer to false"
        )
    responses, backend = answer_questions(
        questions, prompt, setup, decoding, max_error_rate, keep_ids=thinking.force_answer
    )
    if not thinking.force_answer and not thinking.reask_truncated and thinking.reask_over_chars is None:
        return responses, backend, {}
    asked = [question for question in questions for _ in range(decoding.n)]  # of each response
    limit = sys.maxsize if thinking.reask_over_chars is None else thinking.reask_over_chars
    second = _asked_again(asked, responses, prompt, setup, decoding, thinking, limit)
    replaced = sum(improves(responses[i], again, limit) for i, again in second.items())
    responses = [better(r, second[i], limit) if i in second else r for i, r in enumerate(responses)]
    failed = {i: f"asked again: {again.error}" for i, again in second.items() if again.error}
    if thinking.force_answer:
        responses = _forced(asked, responses, prompt, setup, decoding, thinking)
    check_errors([(r.question_id, failed.get(i, r.error)) for i, r in enumerate(responses)], max_error_rate)
    counts = {
        "reasked": len(second),
        "replaced": replaced,
        "reask_failed": len(failed),
        "forced": sum(r.forced for r in responses),
    }
    bare = [replace(r, prompt_token_ids=None, completion_token_ids=None) for r in responses]
    return bare, backend, {"thinking": {**thinking.model_dump(), **counts}}


# ── Re-asking ────────────────────────────────────────────────────────────────────────────────────


def _asked_again(
    asked: Sequence[Question],
    responses: Sequence[Rollout],
    prompt: Prompt,
    setup: Setup,
    decoding: Decoding,
    thinking: Thinking,
    limit: int,
) -> dict[int, Rollout]:
    """A second response for each that is asked again, by its place; an error where that fails.

    Asked again are those whose trace is longer than `limit` and, with `thinking.reask_truncated`, those that were cut.
    """
    second: dict[int, Rollout] = {}
    for index in range(decoding.n):
        chosen = [
            i
            for i in range(index, len(responses), decoding.n)
            if len(thinking_of(responses[i])) > limit or (thinking.reask_truncated and is_cut(responses[i]))
        ]
        if not chosen:
            continue
        shorter = decoding.model_copy(
            update={"n": 1, "seed": decoding.seed + RESEED + index, "max_tokens": thinking.reask_max_tokens}
        )
        # Any share of these may fail here; that of all questions is looked at when all are asked.
        again, _ = answer_questions(
            [asked[i] for i in chosen], prompt, setup, shorter, max_error_rate=1.0, keep_ids=thinking.force_answer
        )
        second |= dict(zip(chosen, again, strict=True))
    return second


def improves(first: Rollout, second: Rollout, limit: int) -> bool:
    """Whether the second attempt replaces the first, which was cut or is longer than `limit` characters."""
    return _finished(second) and (len(thinking_of(second)) <= limit or not _finished(first))


def _finished(rollout: Rollout) -> bool:
    return not rollout.error and not is_cut(rollout)


def better(first: Rollout, second: Rollout, limit: int) -> Rollout:
    """The attempt that stays, with the length of the first trace."""
    kept = second if improves(first, second, limit) else first
    return replace(kept, sample_index=first.sample_index, reasked_chars=len(thinking_of(first)))


# ── Budget forcing ───────────────────────────────────────────────────────────────────────────────


def _forced(
    asked: Sequence[Question],
    responses: Sequence[Rollout],
    prompt: Prompt,
    setup: Setup,
    decoding: Decoding,
    thinking: Thinking,
) -> list[Rollout]:
    cut = [i for i, response in enumerate(responses) if is_cut(response)]
    if not cut:
        return list(responses)
    tokenizer = family_of(setup.model).processor(setup.model).tokenizer

    def prompt_text(ids: tuple[int, ...] | None) -> str:
        return str(tokenizer.decode(ids or (), skip_special_tokens=False, clean_up_tokenization_spaces=False))

    texts = {i: closed(responses[i].text, prompt_text(responses[i].prompt_token_ids), thinking.closing) for i in cut}
    finished = list(responses)
    label = f"{prompt.name}, forced"
    with response_cache(setup.work) as cache, progress(len(cut), "answer", label) as bar:
        asking = replace(setup, label=label, clips=most_clips(prompt), on_load=show_at_end(bar))
        engine = Cached(open_engine(asking), cache)
        for sample_index in sorted({responses[i].sample_index for i in cut}):  # each has a seed of its own
            chosen = [i for i in cut if responses[i].sample_index == sample_index]
            shorter = decoding.model_copy(
                update={"n": 1, "max_tokens": thinking.force_answer_tokens, "seed": decoding.seed + sample_index}
            )
            requests = [request_for(asked[i], prompt, continues=texts[i]) for i in chosen]
            results = engine.generate(requests, shorter, lambda *_: bar.update())
            for i, result in zip(chosen, results, strict=True):
                check_continued(responses[i], texts[i], result, prompt_text)
                finished[i] = joined(responses[i], texts[i], result)
    return finished


def closed(text: str, prompt: str, closing: str) -> str:
    r"""A cut text, with `closing` behind it if its thinking is still open.

    `prompt` is what the text continues: a chat template may have opened the thinking there.

    >>> closed("<think>It barks and", "assistant\n", "</think>\n")
    '<think>It barks and</think>\n'
    >>> closed("It barks and", "assistant\n<think>\n", "</think>\n")
    'It barks and</think>\n'
    >>> closed("<think>It barks.</think>\nANSWER: a bi", "assistant\n", "</think>\n")
    '<think>It barks.</think>\nANSWER: a bi'
    """
    text = text.rstrip("\ufffd")  # a character of which only the first bytes came
    opened = "<think>" if prompt.rstrip().endswith("<think>") else ""
    return text if split_thinking(opened + text)[2] else text + closing


def check_continued(
    first: Rollout, text: str, result: ChatResult, prompt_text: Callable[[tuple[int, ...] | None], str]
) -> None:
    """Raise UserError unless the model was shown its first prompt and then `text`, both whole, by its token ids."""
    if result.error:
        return
    shown, wanted = prompt_text(result.prompt_token_ids), prompt_text(first.prompt_token_ids) + text
    if unicodedata.normalize("NFC", shown) != unicodedata.normalize("NFC", wanted):
        raise UserError(
            f"{first.question_id}: thinking.force_answer has the model continue its own text, but its chat template "
            f"made another prompt of it, ending in {shown[-80:]!r} instead of {wanted[-80:]!r}; "
            "set thinking.force_answer to false for this model"
        )


def joined(first: Rollout, text: str, result: ChatResult) -> Rollout:
    """The answer that begins with `text` and ends in what `result` adds, as a whole."""
    if result.error:
        return replace(first, error=f"asked for the answer: {result.error}", forced=True)
    (added,) = result.samples
    return replace(
        first,
        text=text + added.text,
        finish_reason=added.finish_reason,
        completion_tokens=first.completion_tokens + (added.completion_tokens or 0),
        prompt_token_ids=None,
        completion_token_ids=None,
        forced=True,
    )
