"""`audio-reasoning ask`: any questions to any model, prompt, condition and engine, without touching params.yaml."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from stages.layout import answers_file

EPILOG = """\b
Examples:
  audio-reasoning ask baseline --limit 20
  audio-reasoning ask iter3/structured_reasoning@silence --out silence.jsonl
  audio-reasoning ask baseline --prompt my_prompt.yaml --temperature 0.6 --n 4 --limit 50
  audio-reasoning ask baseline --questions MMAR-meta.jsonl --audio MMAR/ --out mmar.jsonl
  audio-reasoning ask baseline --engine openai --endpoint-model gpt-4o-audio-preview --in-flight 16 --limit 20
"""


def command(
    run: Annotated[str, typer.Argument(help="<prompt>, <model>/<prompt>, either with @<condition> behind it")],
    questions: Annotated[
        Path | None, typer.Option(help="Question records or MMAR's metadata; default: the project's test questions")
    ] = None,
    audio: Annotated[Path | None, typer.Option(help="The folder of their clips; default: data/audio")] = None,
    prompt: Annotated[str, typer.Option(help="Another prompt: a name in prompts/, or a .yaml file")] = "",
    engine: Annotated[str, typer.Option(help="vllm, openai, transformers or module:object")] = "",
    endpoint_model: Annotated[str, typer.Option(help="The model's name at the endpoint of --engine openai")] = "",
    in_flight: Annotated[int | None, typer.Option(help="Requests at once", min=1)] = None,
    temperature: Annotated[float | None, typer.Option(help="Of sampling")] = None,
    top_p: Annotated[float | None, typer.Option(help="Of sampling")] = None,
    max_tokens: Annotated[int | None, typer.Option(help="An answer's longest length, thinking included")] = None,
    n: Annotated[int | None, typer.Option(help="Answers to each question")] = None,
    seed: Annotated[int | None, typer.Option(help="Of the first of them")] = None,
    limit: Annotated[int | None, typer.Option(help="Ask only the first questions", min=1)] = None,
    out: Annotated[Path | None, typer.Option(help="Write the answers there, and a .run.json beside them")] = None,
) -> None:
    """Ask questions, and say how many were answered rightly.

    What is not given is as params.yaml says. A run as params.yaml describes it goes to its place in data/; any other is
    written to --out, or printed. An interrupted run goes on where it stopped: every answer is kept in the cache.
    """
    from cli.ask_params import Asked, asked_params
    from cli.ask_questions import TEST, questions_to_ask
    from cli.ask_results import answers_table, check_out, summary
    from stages.answer import answer, write_run

    decoding = {"temperature": temperature, "top_p": top_p, "max_tokens": max_tokens, "n": n, "seed": seed}
    asked: Asked = asked_params(run, prompt, engine, endpoint_model, in_flight, decoding)
    if out:
        check_out(out, questions or TEST)
    setup = asked.setup()  # what is wrong with it is told before any clip is converted
    chosen, media_root = questions_to_ask(questions, audio, limit)
    rollouts, manifest = answer(asked.run, asked.prompt, chosen, replace(setup, media_root=media_root), asked.params)
    as_declared = asked.as_declared and questions is None and audio is None and limit is None
    path = out or (answers_file(asked.run) if as_declared else None)
    if path:
        write_run(path, rollouts, manifest)
    else:
        print(answers_table(chosen, rollouts))
    print(summary(chosen, rollouts))
