"""`audio-reasoning plan`: what a run takes, before it starts."""

from typing import Annotated

import typer

EPILOG = """\b
Examples:
  audio-reasoning plan                                   for params.yaml as it is
  audio-reasoning plan profile=a100 models=none          for another composition of conf/, which is not written
  audio-reasoning plan --measure                         asks 20 questions under each prompt first, on the real server
"""


def command(
    overrides: Annotated[list[str] | None, typer.Argument(help="Hydra overrides, as `compose` takes them")] = None,
    measure: Annotated[bool, typer.Option("--measure", help="Ask the server how long answers are first")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON")] = False,
) -> None:
    """Print requests, tokens, hours, downloads and disk of each stage, before anything expensive starts."""
    import json

    from stages import plan, plan_table
    from stages.compose import composed
    from stages.models import recipes
    from stages.plan_steps import steps
    from stages.project import load_project, parse_project

    project = parse_project(composed(overrides), "conf/") if overrides else load_project()
    known = plan.Here(project, measured=plan.read_measured(project))
    if measure:
        known.measured = plan.measure(project, known.questions)
    found = steps(project, recipes(project), known)
    if as_json:
        figures = [{**vars(step), "hours": round(step.hours(project.plan), 4)} for step in found]
        print(json.dumps({"steps": figures, "notes": plan_table.lines(known)}, indent=2))
    else:
        print(plan_table.as_text(found, known))
