"""Shared ground: records, typed parameters, files, errors, progress. Imports nothing else of the project."""
