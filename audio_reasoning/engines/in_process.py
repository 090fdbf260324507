"""The `transformers` backend: the model in this process, slow and plain, a reference to check servers against."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import soundfile
import torch

from audio_reasoning.core.threads import limit_threads
from audio_reasoning.engines.answers import ChatResult, Sample
from audio_reasoning.engines.params import Infer
from audio_reasoning.families.qwen3_omni.checkpoint import load_thinker
from audio_reasoning.families.qwen3_omni.lora import attach
from audio_reasoning.families.qwen3_omni.processor import AudioTextProcessor, Encoded


def generate(
    model_dir: Path,
    prompts: Sequence[tuple[str, str, Path | None]],
    decoding: Infer,
    batch_size: int,
    done: set[int],
    adapter: Path | None = None,
    dtype: str = "float32",
) -> Iterator[dict[int, ChatResult]]:
    """Answer (system, user, audio file) prompts, with `adapter` on the model; yield each batch's results by index.

    All prompts have an audio file, or none has (None: text alone).
    Prompts of similar length share a batch, and each batch has a seed of its own. Batches are those of all
    `prompts`, and one is left out only if every one of its indices is in `done`: a resumed run samples what an
    uninterrupted one does.
    """
    limit_threads()
    model, processor = load_thinker(model_dir, dtype), AudioTextProcessor.from_checkpoint(model_dir)
    if adapter is not None:
        model = attach(model, adapter).eval()
    encoded = [_encode(processor, *prompt) for prompt in prompts]
    order = sorted(range(len(prompts)), key=lambda i: len(encoded[i].ids))
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        if done.issuperset(chosen):
            continue
        torch.manual_seed(decoding.seed + start)
        batch = {key: part.to(model.device) for key, part in processor.batch([encoded[i] for i in chosen]).items()}
        if "input_features" in batch:
            batch["input_features"] = batch["input_features"].to(model.dtype)
        with torch.inference_mode():
            output = model.generate(
                **batch,
                max_new_tokens=decoding.max_tokens,
                num_return_sequences=decoding.n,
                eos_token_id=processor.tokenizer.eos_token_id,
                pad_token_id=processor.tokenizer.pad_token_id,
                **_sampling(decoding),
            )
        completions = output[:, batch["input_ids"].shape[1] :].tolist()
        results = {}
        for row, index in enumerate(chosen):
            samples = [_sample(processor, ids) for ids in completions[row * decoding.n : (row + 1) * decoding.n]]
            prompt = tuple(encoded[index].ids)
            results[index] = ChatResult(tuple(samples), prompt_tokens=len(prompt), prompt_token_ids=prompt)
        yield results


def _encode(processor: AudioTextProcessor, system: str, user: str, audio: Path | None) -> Encoded:
    if audio is None:
        return processor.encode(system, user, None)
    samples, rate = soundfile.read(audio, dtype="float32")
    assert rate == processor.extractor.sampling_rate, f"{audio} has {rate} Hz"
    return processor.encode(system, user, processor.features(samples))


def _sampling(decoding: Infer) -> dict[str, object]:
    if decoding.temperature == 0:
        return {"do_sample": False}
    return {"do_sample": True, "temperature": decoding.temperature, "top_p": decoding.top_p, "top_k": 0}


def _sample(processor: AudioTextProcessor, ids: list[int]) -> Sample:
    end = processor.tokenizer.eos_token_id
    stopped = end in ids
    kept = ids[: ids.index(end) + 1] if stopped else ids
    text = str(processor.tokenizer.decode(kept, skip_special_tokens=True))
    return Sample(text, "stop" if stopped else "length", len(kept), tuple(kept))
