"""`audio-reasoning fingerprint`: the hash that pins the questions and audio of a source."""

from typing import Annotated

import typer

EPILOG = """\b
Examples:
  audio-reasoning fingerprint mine
  audio-reasoning fingerprint mine --write     set it in conf/profile/ and params.yaml
"""


def command(
    source: Annotated[str, typer.Argument(help="A name under data.sources in params.yaml")],
    write: Annotated[bool, typer.Option("--write", help="Set it where the source is declared")] = False,
) -> None:
    """Print the sha256 of a source's questions and audio on this machine."""
    from audio_reasoning.core.errors import UserError, nearest
    from stages.acquire import fingerprint, located, pin
    from stages.project import load_project

    sources = load_project().data.sources
    if source not in sources:
        raise UserError(f"no source is called {source!r}; {nearest(source, sources)}")
    key, value = fingerprint(source, located(sources[source]))
    if write:
        pin(source, key, value)
    print(value)
