"""Where a search may write its prompt."""

from pathlib import Path

from audio_reasoning.core.errors import UserError
from audio_reasoning.prompts.registry import load_prompt


def check_target(path: Path) -> None:
    """Raise UserError where the prompt file, which a search is to write, is there and was written by hand."""
    if path.is_file() and load_prompt(path.stem, path.parent).provenance is None:
        raise UserError(
            f"{path}: this prompt was written by hand (it has no provenance), and would be overwritten; give "
            f"optimize.{path.stem} another name"
        )
