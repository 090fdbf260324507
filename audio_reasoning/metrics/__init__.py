"""Scores, statistics and comparisons of predictions. Imports no model and no torch."""
