"""Commands as a person gives them, in this process."""

from cli.main import app


def command(*arguments: str) -> int:
    """The exit code of `audio-reasoning …`."""
    try:
        app(list(arguments), prog_name="audio-reasoning")
    except SystemExit as ended:
        return ended.code or 0
    raise AssertionError("a command ends its process")
