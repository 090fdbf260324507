"""Qwen3-Omni: the thinker, its processor, checkpoints, adapters, quantisation, and a tiny one from scratch."""
