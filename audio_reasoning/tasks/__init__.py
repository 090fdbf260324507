"""Tasks: questions, from one source or benchmark each, and what counts as right."""
