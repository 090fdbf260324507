"""The command `audio-reasoning` and its commands. What a command needs, it imports when it runs: help is quick."""

import os
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from audio_reasoning.core.errors import UserError, no_room
from cli import (
    ask,
    check,
    compare,
    compose,
    diff,
    errors,
    export,
    fingerprint,
    plan,
    results,
    score,
    server,
    show,
    submission,
    trend,
)

EPILOG = """\b
Examples:
  audio-reasoning ask iter1/baseline@silence --limit 20
  audio-reasoning compare baseline iter3/baseline
  audio-reasoning COMMAND --help      what a command does, with examples
"""


class Commands(TyperGroup):
    """Commands whose mistakes are one line on stderr and exit code 2; Ctrl-C ends with 130."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was chosen."""
        try:
            return super().invoke(ctx)
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            raise typer.Exit(2) from None
        except BrokenPipeError:  # `… | head` has read enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(141) from None
        except OSError as error:
            if (full := no_room(error)) is None:
                raise
            print(f"error: {full}", file=sys.stderr)
            raise typer.Exit(2) from None
        except KeyboardInterrupt:
            print("interrupted: what is finished is kept; run the same command to go on", file=sys.stderr)
            raise typer.Exit(130) from None


# Plain help: Rich's would reflow the examples, and takes a third of the time.
app = typer.Typer(
    cls=Commands,
    help="Ask audio language models, score and compare what they answer. Run it in the folder that holds dvc.yaml.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
for module in (ask, score, compare, diff, trend, errors, check, plan, export, fingerprint, results, show, compose):
    app.command(module.__name__.rpartition(".")[2], epilog=module.EPILOG)(module.command)
for group in (submission, server):
    app.add_typer(group.app)

if __name__ == "__main__":
    app(prog_name="audio-reasoning")
