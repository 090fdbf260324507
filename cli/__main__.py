"""`python -m cli`: the same as `audio-reasoning`."""

from cli.main import app

app(prog_name="audio-reasoning")
