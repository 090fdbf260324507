"""Algorithms: a model from a model."""
