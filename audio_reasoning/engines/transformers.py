"""The engine `transformers`: the model in this process, plain, a reference to check servers against."""

from collections.abc import Sequence
from functools import cache, partial
from importlib import metadata
from pathlib import Path
from typing import Any

from audio_reasoning.core.audio import SAMPLE_RATE_HZ
from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import sha256_json
from audio_reasoning.core.models import adapter_identity, base_identity
from audio_reasoning.core.records import Audio
from audio_reasoning.engines.answers import ChatResult, Sample
from audio_reasoning.engines.engine import Decoding, OnAnswer, Request, Setup
from audio_reasoning.families.family import Processor, Shown, family_of

BATCH = 64  # prompts that the model answers at once


class Transformers:
    """See `audio_reasoning.engines.engine.Engine`; torch is imported when something has to be answered."""

    gives_token_ids = True
    can_continue = False

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._together: list[Request] = []  # what `keys` was given last
        self.identity: dict[str, Any] = {
            "backend": "transformers",
            "model": base_identity(setup.model),
            "transformers": metadata.version("transformers"),
            "dtype": setup.serve.dtype,
            **_quantization(setup),
            **adapter_identity(setup.adapter),
        }

    def keys(self, requests: Sequence[Request], decoding: Decoding) -> list[str]:
        """A key for each request *in this list*.

        All that is asked together decides which prompts share a batch, which seed the batch has, and how long its
        padding is, and these decide how each prompt is sampled and rounded. Asked in another list, a question is asked
        anew, and what was asked before changes nothing.
        """
        self._together = list(requests)
        asked = [_identity(request) for request in requests]
        together = sha256_json([self.identity, decoding.model_dump(), BATCH, asked])
        return [sha256_json([together, *one]) for one in asked]

    def generate(self, requests: Sequence[Request], decoding: Decoding, known: int, on_answer: OnAnswer) -> None:
        """Answer in batches of prompts of similar length, each with a seed of its own.

        All requests have a clip, or none has. Batches are those of all that `keys` was given, and one is left out only
        if it has none of `requests`: a resumed run samples what an uninterrupted one does.
        """
        import torch

        from audio_reasoning.core.threads import limit_threads
        from audio_reasoning.families.adapters import attach

        limit_threads()
        family, setup = family_of(self._setup.model), self._setup
        model, processor = self._load(), family.processor(setup.model)
        if setup.adapter is not None:
            model = attach(model, setup.adapter).eval()
        wanted = {request: index for index, request in enumerate(requests)}
        assert wanted.keys() <= {*self._together}, "`keys` is told first what is asked together"
        encoded = self._encoded(processor)
        # The model's generate() repeats features clip by clip, which fits prompts of one clip only.
        copies = decoding.n if any(one.audio for r in self._together for one in r.demonstrations) else 1
        order = sorted(range(len(encoded)), key=lambda i: len(encoded[i].ids))
        for start in range(0, len(order), BATCH):
            chosen = order[start : start + BATCH]
            if wanted.keys().isdisjoint(self._together[i] for i in chosen):
                continue
            torch.manual_seed(decoding.seed + start)
            inputs = processor.batch([encoded[i] for i in chosen for _ in range(copies)])
            batch = {key: part.to(model.device) for key, part in inputs.items()}
            if "input_features" in batch:
                batch["input_features"] = batch["input_features"].to(model.dtype)
            with torch.inference_mode():
                output = model.generate(
                    **batch,
                    max_new_tokens=decoding.max_tokens,
                    num_return_sequences=decoding.n // copies,
                    eos_token_id=processor.tokenizer.eos_token_id,
                    pad_token_id=processor.tokenizer.pad_token_id,
                    **_sampling(decoding),
                )
            completions = output[:, batch["input_ids"].shape[1] :].tolist()
            for row, i in enumerate(chosen):
                if (index := wanted.pop(self._together[i], None)) is None:
                    continue
                ids = completions[row * decoding.n : (row + 1) * decoding.n]
                prompt = tuple(encoded[i].ids)
                samples = tuple(_sample(processor, one) for one in ids)
                on_answer(index, ChatResult(samples, prompt_tokens=len(prompt), prompt_token_ids=prompt))

    def _load(self) -> Any:
        serve = self._setup.serve
        return family_of(self._setup.model).load(self._setup.model, serve.dtype, serve.quantization)

    def _encoded(self, processor: Processor) -> list[Any]:
        features = partial(_features, processor, self._setup.media_root)
        shared = cache(features)  # the clips of demonstrations, which all requests have
        return [
            processor.encode(
                request.system,
                request.user,
                features(request.audio),
                [Shown(one.user, shared(one.audio), one.response) for one in request.demonstrations],
            )
            for request in self._together
        ]


def open_engine(setup: Setup) -> Transformers:
    """The engine for one model; raises UserError where there is none."""
    return Transformers(setup)


def _quantization(setup: Setup) -> dict[str, str]:
    """What quantised weights add to the identity; nothing without, so that answers known before remain known."""
    if setup.serve.quantization == "none":
        return {}
    if setup.adapter is not None:
        raise UserError(
            f"{setup.adapter}: serve.quantization is {setup.serve.quantization}, but adapters are measured on the "
            "weights that vLLM serves: set it to none, or train none (models=none)"
        )
    try:
        version = metadata.version("bitsandbytes")
    except metadata.PackageNotFoundError:
        raise UserError("serve.quantization: nf4 needs bitsandbytes, which is not installed: `make setup`") from None
    return {"quantization": setup.serve.quantization, "bitsandbytes": version}


def _identity(request: Request) -> tuple[Any, ...]:
    def sha256(audio: Audio | None) -> str:
        return audio.sha256 if audio else ""

    shown = [(one.user, one.response, sha256(one.audio)) for one in request.demonstrations]
    return (request.system, request.user, sha256(request.audio), *([shown] if shown else []))


def _features(processor: Processor, media_root: Path, audio: Audio | None) -> Any:
    if audio is None:
        return None
    import soundfile

    path = media_root / audio.path
    samples, rate = soundfile.read(path, dtype="float32")
    assert rate == SAMPLE_RATE_HZ, f"{path} has {rate} Hz"
    return processor.features(samples)


def _sampling(decoding: Decoding) -> dict[str, object]:
    if decoding.temperature == 0:
        return {"do_sample": False}
    return {"do_sample": True, "temperature": decoding.temperature, "top_p": decoding.top_p, "top_k": 0}


def _sample(processor: Processor, ids: list[int]) -> Sample:
    end = processor.tokenizer.eos_token_id
    stopped = end in ids
    kept = ids[: ids.index(end) + 1] if stopped else ids
    text = str(processor.tokenizer.decode(kept, skip_special_tokens=True))
    return Sample(text, "stop" if stopped else "length", len(kept), tuple(kept))
