"""`audio-reasoning check`: look for mistakes before anything expensive."""

EPILOG = """\b
Example:
  audio-reasoning check && dvc repro
"""


def command() -> None:
    """Check parameters, questions, prompts, and what each stage of dvc.yaml declares."""
    from stages.check import check

    check()
