"""Questions and their audio: sources, validation, splits."""
