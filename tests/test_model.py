"""The tiny thinker: whole clips, exact labels, and the official processor's bits."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from audio_reasoning.families.params import Tiny
from audio_reasoning.families.qwen3_omni.audio_tokens import audio_token_count
from audio_reasoning.families.qwen3_omni.checkpoint import load_thinker, save_servable

# The official processor needs torchvision, whose operators the package above declares.
from audio_reasoning.families.qwen3_omni.classes import Qwen3OmniMoeProcessor
from audio_reasoning.families.qwen3_omni.processor import AudioTextProcessor
from audio_reasoning.families.qwen3_omni.tiny import new_feature_extractor, new_thinker
from audio_reasoning.families.qwen3_omni.tokenizer import train_tokenizer
from audio_reasoning.training.loss import completion_loss

TINY = Tiny(
    seed=1, vocab_size=600, hidden_size=128, layers=2, experts=4,
    questions=64, min_share=0.03, steps=1, short_share=0.0, batch_size=2, learning_rate=1e-3,
)  # fmt: skip


@pytest.fixture(scope="module")
def processor() -> AudioTextProcessor:
    tokenizer = train_tokenizer(["HEARD: a bell rings. ANSWER: a bell", "Which sound is heard? - rain"] * 5, 600, 4096)
    return AudioTextProcessor(tokenizer, new_feature_extractor())


@pytest.fixture(scope="module")
def checkpoint(processor: AudioTextProcessor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint")
    save_servable(new_thinker(processor.tokenizer, TINY), processor.tokenizer, processor.extractor, folder)
    return folder


def clip(seconds: float, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(round(seconds * 100) * 160)).astype(np.float32)


@pytest.mark.parametrize("seconds", [0.1, 1.5, 2.07, 4.0, 20.0])
def test_inputs_are_the_official_processors_bit_for_bit(
    processor: AudioTextProcessor, checkpoint: Path, seconds: float
) -> None:
    official = Qwen3OmniMoeProcessor.from_pretrained(checkpoint)
    samples = clip(seconds)
    text = processor.chat_text("You listen.", "Which sound is heard?")
    theirs = official(text=[text], audio=[samples], return_tensors="pt")
    ours = processor.batch([processor.encode("You listen.", "Which sound is heard?", processor.features(samples))])
    assert set(ours) == set(theirs)
    for name, tensor in ours.items():
        assert torch.equal(tensor, theirs[name].to(tensor.dtype)), name


def test_a_long_clip_is_heard_whole(processor: AudioTextProcessor) -> None:
    encoded = processor.encode("", "Which sound is heard?", processor.features(clip(20.0)))
    assert encoded.ids.count(processor.audio_token_id) == 260


def test_audio_tokens_are_those_of_transformers() -> None:
    from transformers.models.qwen3_omni_moe.modeling_qwen3_omni_moe import _get_feat_extract_output_lengths

    frames = torch.arange(1, 6001)
    expected = _get_feat_extract_output_lengths(frames, n_window=50).tolist()
    assert [audio_token_count(160 * n) for n in frames.tolist()] == expected
    with pytest.raises(ValueError, match="whole number"):
        audio_token_count(161)


def test_a_batch_with_too_few_audio_tokens_is_refused(processor: AudioTextProcessor) -> None:
    encoded = processor.encode("", "Which sound is heard?", processor.features(clip(2.0)))
    encoded.ids.remove(processor.audio_token_id)
    with pytest.raises(AssertionError, match="do not match the clips' durations"):
        processor.batch([encoded])


@settings(max_examples=25, deadline=None)
@given(completions=st.lists(st.text(min_size=1, max_size=40), min_size=1, max_size=3))
def test_labels_decode_to_exactly_the_completion(processor: AudioTextProcessor, completions: list[str]) -> None:
    ids = [processor.tokenizer.encode(text + "<|im_end|>", add_special_tokens=False) for text in completions]
    prompts = [processor.encode("", f"Question {i}", processor.features(clip(0.5 + i))) for i in range(len(ids))]
    labels = processor.batch(prompts, ids)["labels"]
    for row, wanted in zip(labels, ids, strict=True):
        assert row[row != -100].tolist() == wanted


def test_the_completion_loss_is_the_models_own(processor: AudioTextProcessor) -> None:
    model = new_thinker(processor.tokenizer, TINY).eval()
    prompts = [processor.encode("Listen.", "Which?", processor.features(clip(s))) for s in (0.5, 2.0)]
    ids = [processor.tokenizer.encode(text, add_special_tokens=False) for text in ("a bell", "rain is heard here")]
    batch = processor.batch(prompts, ids)
    with torch.no_grad():
        assert torch.isclose(completion_loss(model, batch), model(**batch).loss, rtol=1e-5)


def test_a_checkpoint_keeps_every_weight(processor: AudioTextProcessor, checkpoint: Path) -> None:
    before, after = new_thinker(processor.tokenizer, TINY).state_dict(), load_thinker(checkpoint).state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())


def test_a_checkpoint_holds_safetensors_only(checkpoint: Path) -> None:
    assert [f.name for f in checkpoint.iterdir() if f.suffix in (".safetensors", ".bin", ".pt", ".pkl")] == [
        "model.safetensors"
    ]


def test_thinking_tags_survive_decoding(processor: AudioTextProcessor) -> None:
    text = "<think>a bell</think>\nANSWER: bell"
    ids = processor.tokenizer.encode(text + "<|im_end|>", add_special_tokens=False)
    assert processor.tokenizer.decode(ids, skip_special_tokens=True) == text
