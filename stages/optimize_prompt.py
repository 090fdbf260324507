"""Stage `optimize_prompt`: search for a better system text, and write the prompt that it ends with.

    python -m stages.optimize_prompt --name mipro

optimize.<name> says which prompt the search starts from, by which optimiser (MIPROv2 or GEPA, of DSPy), what proposes
instructions, and how many answers it may ask for. Train questions ground the proposals, one part of the dev questions
selects among them, another compares start and result once at the end; a test question among them is refused.

Writes prompts/<name>.yaml, a prompt like any other, and metrics/optimize/<name>.json, whose keys
audio_reasoning/metrics/optimize_results.py explains. An interrupted search goes on where it stopped: answers are cached
outside DVC's outs.
"""

import argparse
from dataclasses import replace

from audio_reasoning.core.errors import stage_main
from audio_reasoning.core.progress import progress, show_at_end
from audio_reasoning.core.records import read_questions
from audio_reasoning.core.runs import BASE
from audio_reasoning.core.typed import Name, Strict
from audio_reasoning.engines.cache import response_cache
from audio_reasoning.engines.cached import Cached
from audio_reasoning.engines.demonstrations import most_clips
from audio_reasoning.engines.engine import open_engine
from audio_reasoning.engines.params import Infer, Runtime, Serve
from audio_reasoning.families.params import Model
from audio_reasoning.metrics.optimize_results import Optimization
from audio_reasoning.metrics.paired import method_of
from audio_reasoning.metrics.resampling import Resampling
from audio_reasoning.metrics.results import write_result
from audio_reasoning.optimizers.answers import Answers
from audio_reasoning.optimizers.found import found
from audio_reasoning.optimizers.optimizer import Task, search_of
from audio_reasoning.optimizers.params import SearchParams
from audio_reasoning.optimizers.proposers.chosen import proposer_of
from audio_reasoning.optimizers.sets import sets_of
from audio_reasoning.optimizers.target import check_target
from audio_reasoning.prompts.registry import Prompt, load_prompt, write_prompt
from audio_reasoning.render.tables import percent_range
from stages.layout import OPTIMIZE_METRICS, PROMPTS, QUESTIONS
from stages.params import load_params
from stages.setup import setup_of


class Params(Strict):
    """What the stage reads."""

    infer: Infer
    serve: Serve
    runtime: Runtime
    model: Model
    compare: Resampling
    optimize: dict[Name, SearchParams]
    trial: bool = False


def task_of(name: str, params: Params) -> Task:
    """The search that the parameters ask for; raises UserError where prompts or questions do not allow it."""
    search, infer = params.optimize[name], params.infer
    check_target(PROMPTS / f"{name}.yaml")
    train, dev, test = (read_questions(QUESTIONS / f"{split}.jsonl") for split in ("train", "dev", "test"))
    return Task(
        name=name,
        params=search,
        start=load_prompt(search.start, PROMPTS),
        sets=sets_of(train, dev, test, search),
        model=infer.endpoint_model if infer.backend == "openai" else f"{params.model.id}, {params.model.revision}",
        method=method_of(params.compare),
    )


def run(task: Task, params: Params) -> tuple[Prompt, Optimization]:
    """The search; raises UserError as engine and proposer do, and for clips that are not there."""
    infer, search = params.infer, params.optimize[task.name]
    setup = setup_of(BASE, infer.backend, params.serve, params.runtime, infer.endpoint_model)
    with (
        response_cache(setup.work) as cache,
        progress(search.budget + 2 * search.heldout, "answer", task.name) as bar,
    ):
        clips = max(most_clips(task.start), 1 + search.demonstrations.count * search.demonstrations.audio)
        engine = open_engine(replace(setup, label=task.name, clips=clips, on_load=show_at_end(bar)))
        decoding = infer.decoding().model_copy(update={"n": 1})
        answers = Answers(Cached(engine, cache), decoding, infer.max_error_rate, setup.model, bar.update)
        proposer = proposer_of(task, engine, cache, params.runtime)
        return found(task, search_of(task, answers, proposer, setup), answers)


def line(result: Optimization) -> str:
    """What a search came to, for a terminal."""
    held = result.heldout
    came = {"found": f"a better system text than {result.start}'s", "kept": f"nothing better than {result.start}"}
    return (
        f"{result.name}: {came.get(result.outcome, 'no proposal could be used')}, by {result.usage.answers} answers; "
        f"held out {held.acc_a:.1%} to {held.acc_b:.1%}, difference {100 * held.difference:+.1f} points "
        f"({percent_range(held.low, held.high)})"
    )


@stage_main
def main() -> None:
    """Run the stage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--name", required=True, help="its name in optimize, and the name of the prompt")
    name = parser.parse_args().name
    params = load_params(
        Params,
        "compare.resamples",
        "compare.seed",
        "infer",
        "model.id",
        "model.revision",
        f"optimize.{name}",
        "serve",
        "trial",
    )
    prompt, result = run(task_of(name, params), params)
    write_prompt(PROMPTS / f"{name}.yaml", prompt)
    write_result(OPTIMIZE_METRICS / f"{name}.json", result)
    print(line(result))


if __name__ == "__main__":
    main()
