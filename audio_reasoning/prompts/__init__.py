"""Prompt variants: data, not code."""
