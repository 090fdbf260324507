"""Stage `arm_infer`: answer every test question under one prompt variant in one control arm, with the base model.

    python -m stages.arm_infer --variant baseline --arm silence

Writes data/arms/<variant>/<arm>.jsonl, one Response a sample, and <arm>.run.json, which says what made them.
`permuted` asks each of its orders once; the other arms draw infer.n samples a question, as the stage `infer` does.
"""

import argparse
from typing import get_args

from audio_reasoning.conditions.arms import answered, asked, described
from audio_reasoning.conditions.params import Arms
from audio_reasoning.core.errors import UserError, nearest, stage_main
from audio_reasoning.core.files import BASE_MODEL, QUESTIONS, arms_dir
from audio_reasoning.core.records import read_questions
from audio_reasoning.core.runs import Arm
from audio_reasoning.engines.thinking import answer_in_budget
from audio_reasoning.prompts.registry import load_prompt
from stages import infer
from stages.infer import write_run
from stages.params import load_params


class Params(infer.Params):
    """What the stage reads."""

    arms: Arms


@stage_main
def main() -> None:
    """Run the stage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", required=True, help="a prompt's name: a file under prompts/, without .yaml")
    parser.add_argument("--arm", required=True, help=", ".join(get_args(Arm)))
    args = parser.parse_args()
    if args.arm not in get_args(Arm):
        raise UserError(f"--arm: no control arm is called {args.arm!r}; {nearest(args.arm, get_args(Arm))}")
    params = load_params(
        Params, "arms.permutations", "arms.seed", "infer", "serve", "thinking", "model.id", "model.revision"
    )
    if args.arm == "permuted":
        params = params.model_copy(update={"infer": params.infer.model_copy(update={"n": 1})})
    prompt = load_prompt(args.variant)
    questions = read_questions(QUESTIONS / "test.jsonl")
    tampered = asked(questions, args.arm, params.arms)
    responses, backend, mended = answer_in_budget(tampered, prompt, BASE_MODEL, params)
    write_run(
        arms_dir(args.variant) / f"{args.arm}.jsonl",
        BASE_MODEL.name,
        prompt,
        params,
        backend,
        answered(questions, args.arm, params.arms, responses),
        arm=described(questions, args.arm, params.arms),
        **mended,
    )


if __name__ == "__main__":
    main()
