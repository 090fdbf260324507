"""Ask a model about questions under one prompt, through any engine."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from audio_reasoning.core.audio import samples_of
from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import read_json, sha256_file
from audio_reasoning.core.progress import progress, show_at_end
from audio_reasoning.core.records import NO_AUDIO, Question, Rollout
from audio_reasoning.engines.answers import ChatResult
from audio_reasoning.engines.cache import response_cache
from audio_reasoning.engines.cached import Cached
from audio_reasoning.engines.demonstrations import check_demonstrations, exchanges, most_clips, tell_unshown
from audio_reasoning.engines.engine import Decoding, Request, Setup, open_engine
from audio_reasoning.families.family import family_of
from audio_reasoning.prompts.registry import Prompt


def answer_questions(
    questions: Sequence[Question],
    prompt: Prompt,
    setup: Setup,
    decoding: Decoding,
    max_error_rate: float = 0.0,
    keep_ids: bool = False,
) -> tuple[list[Rollout], dict[str, Any]]:
    """All samples of all questions, in their order, and the identity of the engine that gave them.

    The identity's "adapter" is the hash of the adapter's weights, None without one.

    Every question is there: what failed says why. `keep_ids` keeps prompt and completion
    token ids where the engine gives them. Of a prompt's demonstrations, a question in text alone has the texts alone.

    Raises UserError when a clip is missing or changed, the adapter is not of this base model, the engine cannot be
    used at all, or more questions fail than `max_error_rate` allows; the answers that came are cached.
    """
    check_clips(questions, setup.media_root)
    check_demonstrations(prompt, setup.media_root)
    requests = [request_for(question, prompt) for question in questions]
    with response_cache(setup.work) as cache, progress(len(questions), "question", prompt.name) as bar:
        asking = replace(setup, label=prompt.name, clips=most_clips(prompt), on_load=show_at_end(bar))
        engine = open_engine(asking)
        results = Cached(engine, cache).generate(requests, decoding, lambda *_: bar.update())
    check_audio_tokens(requests, results, setup.model)
    tell_unshown(requests, results, setup.model, prompt.name)
    errors = [(question.id, result.error) for question, result in zip(questions, results, strict=True)]
    check_errors(errors, max_error_rate)
    rollouts = [
        rollout
        for question, result in zip(questions, results, strict=True)
        for rollout in rollouts_of(question.id, result, decoding.n, keep_ids)
    ]
    return rollouts, {"adapter": None, **engine.identity}


def rollouts_of(question_id: str, result: ChatResult, n: int, keep_ids: bool) -> list[Rollout]:
    """One question's samples; a request without an answer gives `n` of them that say why."""
    if result.error:
        return [Rollout(question_id, index, "", "error", 0, 0, error=result.error) for index in range(n)]
    return [
        Rollout(
            question_id=question_id,
            sample_index=index,
            text=sample.text,
            finish_reason=sample.finish_reason,
            prompt_tokens=result.prompt_tokens,
            completion_tokens=sample.completion_tokens or 0,
            prompt_token_ids=result.prompt_token_ids if keep_ids else None,
            completion_token_ids=sample.completion_token_ids if keep_ids else None,
        )
        for index, sample in enumerate(result.samples)
    ]


def check_clips(questions: Sequence[Question], media_root: Path) -> None:
    """Raise UserError unless every question's clip, if it has one, is on disk and is the one that was hashed."""
    known: dict[str, str] = {}
    for question in questions:
        if question.audio is NO_AUDIO:
            continue
        path = media_root / question.audio.path
        if not path.is_file():
            raise UserError(f"{path}: the clip of {question.id} is missing; `dvc checkout {media_root}` or `dvc repro`")
        if question.audio.path not in known:
            known[question.audio.path] = sha256_file(path)
        if known[question.audio.path] != question.audio.sha256:
            raise UserError(f"{path}: the clip of {question.id} has changed since it was hashed; run `dvc repro`")


def request_for(question: Question, prompt: Prompt, continues: str = "") -> Request:
    """The request that asks one question under one prompt; with NO_AUDIO it has no audio at all."""
    system, user = prompt.render(question.question, question.choices)
    audio = None if question.audio is NO_AUDIO else question.audio
    return Request(question.id, system, user, audio, continues, exchanges(prompt, audio is not None))


def check_errors(errors: Sequence[tuple[str, str]], allowed: float) -> None:
    """Raise UserError, naming the questions, when more than the share `allowed` of all results are errors.

    `errors` has the question's id and the error for each result, empty where there is none.
    """
    failed = [(name, error) for name, error in errors if error]
    if len(failed) > allowed * len(errors):
        first, reason = failed[0]
        others = sorted({repr(name) for name, _ in failed} - {repr(first)})
        also = f" (also {', '.join(others[:10])}{', …' if len(others) > 10 else ''})" if others else ""
        raise UserError(
            f"{len(failed)} of {len(errors)} questions failed, more than infer.max_error_rate allows; the first: "
            f"{first!r}: {reason}{also}. Answers are kept; the same command asks only what failed"
        )


def check_audio_tokens(requests: Sequence[Request], results: Sequence[ChatResult], model: Path) -> None:
    """Assert that the model heard whole clips, or nothing where it should, wherever the engine gives token ids."""
    prompts = [(q, r.prompt_token_ids) for q, r in zip(requests, results, strict=True) if r.prompt_token_ids]
    if not prompts:
        return
    family = family_of(model)
    audio_token_id = family.audio_token_id(read_json(model / "config.json"))
    for request, ids in prompts:
        wanted = sum(family.audio_tokens(samples_of(audio.duration_s)) for audio in request.clips)
        heard = ids.count(audio_token_id)
        assert heard == wanted, f"{request.id}: the model heard {heard} audio tokens of {wanted}"
