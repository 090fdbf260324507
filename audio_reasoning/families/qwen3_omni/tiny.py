"""The tiny thinker of `mini`: Qwen3-Omni's own classes, 1-2 M parameters, random weights."""

import torch
from transformers import PreTrainedTokenizerFast, WhisperFeatureExtractor

from audio_reasoning.families.params import Tiny
from audio_reasoning.families.qwen3_omni.classes import (
    Qwen3OmniMoeThinkerConfig,
    Qwen3OmniMoeThinkerForConditionalGeneration,
)

MEL_BINS = 128
CONTEXT_TOKENS = 4096
_HEADS = 4


def tiny_config(tokenizer: PreTrainedTokenizerFast, tiny: Tiny) -> Qwen3OmniMoeThinkerConfig:
    """A thinker's configuration that transformers trains and vLLM serves.

    vLLM 0.32 reads some keys that transformers leaves to defaults (`tie_word_embeddings`, `image_size`,
    `apply_vit_abs_pos_embed`), and wants a `head_dim` that its attention kernels know. The vision tower
    cannot be left out, so it is shrunk.
    """
    head_dim = tiny.hidden_size // _HEADS
    quarter = head_dim // 8  # the three rotary sections (time, height, width) sum to head_dim / 2
    token_id = tokenizer.convert_tokens_to_ids
    return Qwen3OmniMoeThinkerConfig(
        audio_config={
            "num_mel_bins": MEL_BINS,
            "encoder_layers": 2,
            "encoder_attention_heads": _HEADS,
            "encoder_ffn_dim": 2 * tiny.hidden_size,
            "d_model": tiny.hidden_size,
            "output_dim": tiny.hidden_size,
            "downsample_hidden_size": 16,
            "n_window": 50,
            "n_window_infer": 800,
            "conv_chunksize": 500,
            "max_source_positions": 1500,
        },
        vision_config={
            "depth": 1,
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_heads": 2,
            "patch_size": 4,
            "image_size": 16,
            "out_hidden_size": tiny.hidden_size,
            "num_position_embeddings": 16,
            "deepstack_visual_indexes": [],
            "apply_vit_abs_pos_embed": True,
            "tokens_per_second": 2,
        },
        text_config={
            "vocab_size": -(-len(tokenizer) // 64) * 64,
            "hidden_size": tiny.hidden_size,
            "intermediate_size": 2 * tiny.hidden_size,
            "num_hidden_layers": tiny.layers,
            "num_attention_heads": _HEADS,
            "num_key_value_heads": 2,
            "head_dim": head_dim,
            "moe_intermediate_size": tiny.hidden_size,
            "num_experts": tiny.experts,
            "num_experts_per_tok": 2,
            "decoder_sparse_step": 1,
            "max_position_embeddings": CONTEXT_TOKENS,
            "tie_word_embeddings": False,
            "pad_token_id": tokenizer.pad_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 1e4,
                "mrope_section": [head_dim // 2 - 2 * quarter, quarter, quarter],
                "mrope_interleaved": True,
            },
        },
        audio_token_id=token_id("<|audio_pad|>"),
        image_token_id=token_id("<|image_pad|>"),
        video_token_id=token_id("<|video_pad|>"),
        audio_start_token_id=token_id("<|audio_start|>"),
        audio_end_token_id=token_id("<|audio_end|>"),
        vision_start_token_id=token_id("<|vision_start|>"),
        vision_end_token_id=token_id("<|vision_end|>"),
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        tie_word_embeddings=False,
    )


def new_thinker(tokenizer: PreTrainedTokenizerFast, tiny: Tiny) -> Qwen3OmniMoeThinkerForConditionalGeneration:
    """A randomly initialised float32 thinker, the same for the same `tiny.seed`.

    The convolutions in front of the audio encoder get He's initialisation (He et al. 2015, arXiv 1502.01852).
    With transformers' 0.02, fit for large models, what they pass on is a thousandth of the position embeddings
    that are added to it, and the model learns for hundreds of steps to answer without hearing.
    """
    torch.manual_seed(tiny.seed)
    model = Qwen3OmniMoeThinkerForConditionalGeneration(tiny_config(tokenizer, tiny)).float()
    tower = model.audio_tower
    for layer in (tower.conv2d1, tower.conv2d2, tower.conv2d3, tower.conv_out):
        torch.nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return model


def new_feature_extractor() -> WhisperFeatureExtractor:
    """Qwen3-Omni's log-mel front end: 128 bins, 25 ms windows, a frame each 10 ms, up to 300 s."""
    return WhisperFeatureExtractor(feature_size=MEL_BINS, sampling_rate=16_000, chunk_length=300)
