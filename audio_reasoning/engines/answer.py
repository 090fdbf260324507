"""Ask a model about questions under one prompt, through any backend, and read its answers."""

from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from audio_reasoning.core.audio_tokens import SAMPLE_RATE_HZ, audio_token_count
from audio_reasoning.core.errors import UserError
from audio_reasoning.core.extract import extract, status_of
from audio_reasoning.core.files import AUDIO, read_json, sha256_file, sha256_json
from audio_reasoning.core.models import adapter_identity, base_identity, merged_path, resolve
from audio_reasoning.core.progress import progress
from audio_reasoning.core.records import NO_AUDIO, Question, Response
from audio_reasoning.engines.answers import ChatResult, from_json, to_json
from audio_reasoning.engines.cache import ResponseCache, response_cache
from audio_reasoning.engines.client import all_cached, ask
from audio_reasoning.engines.endpoint import Server, external_server
from audio_reasoning.engines.messages import ChatRequest, audio_part, text_part
from audio_reasoning.engines.params import Asking, Infer
from audio_reasoning.engines.server.canaries import check_hearing
from audio_reasoning.engines.server.server import ensure, planned
from audio_reasoning.prompts.registry import Prompt

_BATCH = 64  # prompts that the model in this process answers at once


def answer_questions(
    questions: Sequence[Question],
    prompt: Prompt,
    model_dir: Path,
    params: Asking,
    keep_ids: bool = False,
    adapter: Path | None = None,
) -> tuple[list[Response], dict[str, Any]]:
    """All samples of all questions, in their order, and the identity of the backend that gave them.

    `model_dir` is models/base or the folder of an iteration; an `adapter` is put on the base model instead of the
    folder's own. The identity's "adapter" is the hash of the adapter's weights, None without one.

    Every question is there: what failed has a status that says so. `keep_ids` keeps prompt and completion
    token ids where the backend gives them.

    Raises UserError when a clip is missing or changed, the adapter is not of this base model, the backend cannot be
    used at all, or more questions fail than infer.max_error_rate allows; the answers that came are cached.
    """
    base, own = resolve(model_dir)
    adapter = adapter or own
    check_clips(questions)
    requests = [request_for(question, prompt, params.infer) for question in questions]
    with response_cache() as cache, progress(len(questions), "question", prompt.name) as bar:
        if params.infer.backend == "transformers":
            identity, results = _in_process(questions, prompt, base, adapter, params, cache, bar.update)
        elif params.infer.backend == "openai":
            if adapter is not None:
                raise UserError(f"{adapter}: an endpoint cannot serve our adapters; set infer.backend to vllm")
            server = external_server(params.infer.endpoint_model, AUDIO)
            identity = server.identity
            results = _from_endpoint(requests, server, params, cache, bar.update)
        else:
            identity = planned(base, params.serve, AUDIO.resolve(), adapter).identity
            results = from_vllm(requests, base, adapter, params, cache, bar.update)
    _check_audio_tokens(questions, results, base)
    check_errors(results, params.infer.max_error_rate)
    responses = [
        response
        for question, result in zip(questions, results, strict=True)
        for response in responses_of(question, result, params.infer.n, keep_ids)
    ]
    return responses, {"adapter": None, **identity}


def responses_of(question: Question, result: ChatResult, n: int, keep_ids: bool) -> list[Response]:
    """Read one question's samples; a request without an answer gives `n` responses of status "error"."""
    if result.error:
        return [_failed(question, index, result.error) for index in range(n)]
    responses = []
    for index, sample in enumerate(result.samples):
        found = extract(sample.text, question.choices)
        status = status_of(found, sample.finish_reason)
        responses.append(
            Response(
                question_id=question.id,
                sample_index=index,
                status=status,
                text=sample.text,
                thinking=found.thinking,
                answer=found.answer if status == "ok" else None,
                extraction=found.rule,
                finish_reason=sample.finish_reason,
                prompt_tokens=result.prompt_tokens,
                completion_tokens=sample.completion_tokens or 0,
                prompt_token_ids=result.prompt_token_ids if keep_ids else None,
                completion_token_ids=sample.completion_token_ids if keep_ids else None,
            )
        )
    return responses


def check_clips(questions: Sequence[Question]) -> None:
    """Raise UserError unless every question's clip, if it has one, is on disk and is the one that was hashed."""
    known: dict[str, str] = {}
    for question in questions:
        if question.audio is NO_AUDIO:
            continue
        path = AUDIO / question.audio.path
        if not path.is_file():
            raise UserError(f"{path}: the clip of {question.id} is missing; `dvc checkout {AUDIO}` or `dvc repro`")
        if question.audio.path not in known:
            known[question.audio.path] = sha256_file(path)
        if known[question.audio.path] != question.audio.sha256:
            raise UserError(f"{path}: the clip of {question.id} has changed since it was hashed; run `dvc repro`")


def request_for(question: Question, prompt: Prompt, decoding: Infer) -> ChatRequest:
    """The chat request that asks one question under one prompt; with NO_AUDIO it has no audio part at all."""
    system, user = prompt.render(question.question, question.choices)
    messages = [{"role": "system", "content": system}] if system else []
    clip = [] if question.audio is NO_AUDIO else [audio_part(question.audio)]
    return ChatRequest(
        id=question.id,
        messages=[*messages, {"role": "user", "content": [*clip, text_part(user)]}],
        temperature=decoding.temperature,
        top_p=decoding.top_p,
        max_tokens=decoding.max_tokens,
        seed=decoding.seed,
        n=decoding.n,
        token_ids=decoding.backend == "vllm",
    )


def _failed(question: Question, index: int, error: str) -> Response:
    return Response(question.id, index, "error", "", "", None, "none", "error", 0, 0, error=error)


def _from_endpoint(
    requests: Sequence[ChatRequest],
    server: Server,
    params: Asking,
    cache: ResponseCache,
    on_result: Callable[[int], object],
) -> list[ChatResult]:
    """The `openai` backend; before anything is asked, see that the endpoint hears."""
    results = all_cached(requests, server, cache)
    if results is not None:
        on_result(len(results))
        return results
    check_hearing(server.base_url, server.api_key, server.model_name)
    return ask(requests, server, cache, params.runtime, lambda *_: on_result(1))


def from_vllm(
    requests: Sequence[ChatRequest],
    base: Path,
    adapter: Path | None,
    params: Asking,
    cache: ResponseCache,
    on_result: Callable[[int], object],
) -> list[ChatResult]:
    """The `vllm` backend; no server is started where the cache has every answer."""
    results = all_cached(requests, planned(base, params.serve, AUDIO.resolve(), adapter), cache)
    if results is not None:
        on_result(len(results))
        return results
    if adapter is not None and params.serve.adapters == "merge" and not merged_path(base, adapter).is_dir():
        from audio_reasoning.families.qwen3_omni.merged import merged_checkpoint  # imports torch

        merged_checkpoint(base, adapter)
    with ensure(base, params.serve, params.runtime, AUDIO.resolve(), adapter=adapter) as server:
        return ask(requests, server, cache, params.runtime, lambda *_: on_result(1))


def _in_process(
    questions: Sequence[Question],
    prompt: Prompt,
    base: Path,
    adapter: Path | None,
    params: Asking,
    cache: ResponseCache,
    on_result: Callable[[int], object],
) -> tuple[dict[str, Any], list[ChatResult]]:
    """The `transformers` backend, behind the same cache as the servers."""
    identity: dict[str, Any] = {
        "backend": "transformers",
        "model": base_identity(base),
        "transformers": metadata.version("transformers"),
        "dtype": params.serve.dtype,
        **adapter_identity(adapter),
    }
    texts = [
        (*prompt.render(q.question, q.choices), None if q.audio is NO_AUDIO else AUDIO / q.audio.path)
        for q in questions
    ]
    asked = [(system, user, q.audio.sha256) for q, (system, user, _) in zip(questions, texts, strict=True)]
    # All that is asked together decides which prompts share a batch, which seed the batch has, and how long its padding
    # is, and these decide how each prompt is sampled and rounded. So an answer is kept for this list as a whole: asked
    # in another one, a question is asked anew, and what was asked before changes nothing.
    together = sha256_json([identity, params.infer.model_dump(), _BATCH, asked])
    keys = [sha256_json([together, *one]) for one in asked]
    results = {key: from_json(row) for key, row in cache.get_many(keys).items()}
    done = {index for index, key in enumerate(keys) if key in results}
    on_result(len(done))
    if len(done) < len(keys):
        from audio_reasoning.engines.in_process import generate  # imports torch, which cached answers do not need

        for batch in generate(base, texts, params.infer, _BATCH, done, adapter, params.serve.dtype):
            cache.put_many((keys[index], to_json(result)) for index, result in batch.items())
            for index, result in batch.items():
                results.setdefault(keys[index], result)  # of equal requests the cache keeps the first answer, too
            on_result(len(batch.keys() - done))
    return identity, [results[key] for key in keys]


def check_errors(results: Sequence[ChatResult] | Sequence[Response], allowed: float) -> None:
    """Raise UserError when more than the share `allowed` of all results are errors."""
    errors = [result.error for result in results if result.error]
    if len(errors) > allowed * len(results):
        raise UserError(
            f"{len(errors)} of {len(results)} questions failed, more than infer.max_error_rate allows; the first: "
            f"{errors[0]}. Answers are kept; the same command asks only what failed"
        )


def _check_audio_tokens(questions: Sequence[Question], results: Sequence[ChatResult], base: Path) -> None:
    """Assert that the model heard whole clips, or nothing where it should, wherever the backend tells token ids."""
    told = [(q, r.prompt_token_ids) for q, r in zip(questions, results, strict=True) if r.prompt_token_ids is not None]
    if not told:
        return
    audio_token_id = read_json(base / "config.json")["thinker_config"]["audio_token_id"]
    for question, ids in told:
        wanted = audio_token_count(round(question.audio.duration_s * SAMPLE_RATE_HZ))
        heard = ids.count(audio_token_id)
        assert heard == wanted, f"{question.id}: the model heard {heard} audio tokens of {wanted}"
