"""Stage `sample`: ask every test question several times under one prompt variant, with the base model.

    python -m stages.sample --variant baseline

Writes data/samples/<variant>.jsonl, vote.n Responses a question, and <variant>.run.json, which says what made them.
The samples of a question come from one request, so its clip is read once. An interrupted run goes on where it stopped:
answers are cached outside DVC's outs.
"""

import argparse

from audio_reasoning.core.errors import stage_main
from audio_reasoning.core.files import BASE_MODEL, QUESTIONS, samples_dir
from audio_reasoning.core.records import read_questions
from audio_reasoning.engines.params import Infer
from audio_reasoning.engines.thinking import answer_in_budget
from audio_reasoning.metrics.vote_params import Vote
from audio_reasoning.prompts.registry import load_prompt
from stages import infer
from stages.infer import write_run
from stages.params import load_params


class Params(infer.Params):
    """What the stage reads."""

    vote: Vote


def sampling(params: Params) -> Infer:
    """The decoding of samples: `vote` says how many and how varied, `infer` the rest."""
    vote, infer = params.vote, params.infer
    return Infer(
        backend=infer.backend,
        temperature=vote.temperature,
        top_p=vote.top_p,
        max_tokens=infer.max_tokens,
        n=vote.n,
        seed=vote.seed,
        endpoint_model=infer.endpoint_model,
        max_error_rate=infer.max_error_rate,
    )


@stage_main
def main() -> None:
    """Run the stage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", required=True, help="a prompt's name: a file under prompts/, without .yaml")
    variant = parser.parse_args().variant
    params = load_params(
        Params,
        "infer.backend",
        "infer.endpoint_model",
        "infer.max_error_rate",
        "infer.max_tokens",
        "model.id",
        "model.revision",
        "serve",
        "thinking",
        "vote.n",
        "vote.seed",
        "vote.temperature",
        "vote.top_p",
    )
    params = params.model_copy(update={"infer": sampling(params)})
    prompt = load_prompt(variant)
    questions = read_questions(QUESTIONS / "test.jsonl")
    responses, backend, mended = answer_in_budget(questions, prompt, BASE_MODEL, params)
    write_run(samples_dir() / f"{variant}.jsonl", BASE_MODEL.name, prompt, params, backend, responses, **mended)


if __name__ == "__main__":
    main()
