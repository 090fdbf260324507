"""`audio-reasoning server`: the model server that is started when questions are asked."""

import typer

EPILOG = """\b
Examples:
  audio-reasoning server status
  audio-reasoning server stop
"""
app = typer.Typer(name="server", help="The model server: status, stop.", epilog=EPILOG, rich_markup_mode=None)


@app.command(epilog="\b\nExample:\n  audio-reasoning server status")
def status() -> None:
    """Say whether a server runs, where, and since when."""
    from audio_reasoning.engines.server import server
    from stages.layout import cache_dir

    print(server.status(cache_dir()))


@app.command(epilog="\b\nExample:\n  audio-reasoning server stop")
def stop() -> None:
    """Stop the server, used or not."""
    from audio_reasoning.engines.server import server
    from stages.layout import cache_dir

    print("the server is stopped" if server.stop(cache_dir()) else "no server runs")
