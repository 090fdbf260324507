"""Supervised fine-tuning: a model learns to write traces that are given."""
