"""Stages `infer` and `rest_infer`: answer every test question under one prompt variant.

    python -m stages.infer --variant baseline
    python -m stages.infer --variant baseline --model iter1

Writes data/predictions/<variant>.jsonl, one Response a sample, and <variant>.run.json, which says what made
them; those of an iteration of self-training go to data/rest/predictions/<iteration>/. An interrupted run goes on
where it stopped: answers are cached outside DVC's outs.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from audio_reasoning.core.errors import UserError, nearest, stage_main
from audio_reasoning.core.extract import VERSION as EXTRACTOR_VERSION
from audio_reasoning.core.files import (
    BASE_MODEL,
    MODELS,
    QUESTIONS,
    predictions_dir,
    read_json,
    write_json,
    write_jsonl,
)
from audio_reasoning.core.records import Response, read_questions, to_dict
from audio_reasoning.engines.params import Asking
from audio_reasoning.engines.thinking import answer_in_budget
from audio_reasoning.families.params import Model
from audio_reasoning.prompts.registry import Prompt, load_prompt
from stages.params import load_params


class Params(Asking):
    """What the stage reads."""

    model: Model


def read_manifest(model: str) -> dict[str, Any]:
    """What identifies `model` beside its base: the `adapter`'s hash and the `iteration`, both None for the base.

    Raises UserError when models/<model> is not an iteration of self-training.
    """
    if model == BASE_MODEL.name:
        return {"adapter": None, "iteration": None}
    path = MODELS / model / "model.json"
    if not path.is_file():
        known = [BASE_MODEL.name, *(found.parent.name for found in MODELS.glob("*/model.json"))]
        raise UserError(
            f"{path}: no such file, so {model!r} is not a model to ask; {nearest(model, known)} "
            "(`dvc repro` trains the iterations of rest.iterations)"
        )
    manifest = read_json(path)
    return {"adapter": manifest["adapter"], "iteration": manifest["iteration"]}


def write_run(
    path: Path,
    model: str,
    prompt: Prompt,
    params: Params,
    backend: dict[str, Any],
    responses: Sequence[Response],
    **more: Any,
) -> None:
    """Write the answers of `model` to `path`, and beside them what made them, `more` included; print how they fared."""
    hosted = params.infer.backend == "openai"
    served = {"id": params.model.id, "revision": params.model.revision, **read_manifest(model)}
    count = len({response.question_id for response in responses})
    write_jsonl(path, map(to_dict, responses))
    write_json(
        path.with_suffix(".run.json"),
        {
            "prompt": {"name": prompt.name, "version": prompt.version, "text_hash": prompt.text_hash},
            "model": None if hosted else served,
            "backend": backend,  # with the hash or commit of what it served
            "decoding": params.infer.model_dump(),
            "serve": None if hosted else params.serve.model_dump(),
            "extractor": EXTRACTOR_VERSION,
            "questions": count,
            **more,
        },
    )
    fates = Counter(response.status for response in responses)
    told = ", ".join(f"{fate} {number}" for fate, number in sorted(fates.items()))
    print(f"{path}: {count} questions; {told}")
    for response in [r for r in responses if r.status == "error"][:3]:
        print(f"warning: {response.question_id}: {response.error}", file=sys.stderr)


@stage_main
def main() -> None:
    """Run the stage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", required=True, help="a prompt's name: a file under prompts/, without .yaml")
    parser.add_argument("--model", default=BASE_MODEL.name, help="a folder under models/ (default: %(default)s)")
    args = parser.parse_args()
    params = load_params(Params, "infer", "serve", "thinking", "model.id", "model.revision")
    read_manifest(args.model)
    if params.infer.backend == "openai" and args.model != BASE_MODEL.name:
        raise UserError(
            f"infer.backend openai: an endpoint answers with its own model, not with {args.model}; use the backend "
            "vllm or transformers, or no self-training (rest.iterations: {})"
        )
    prompt = load_prompt(args.variant)
    questions = read_questions(QUESTIONS / "test.jsonl")
    responses, backend, mended = answer_in_budget(questions, prompt, MODELS / args.model, params)
    out = predictions_dir(args.model) / f"{args.variant}.jsonl"
    write_run(out, args.model, prompt, params, backend, responses, **mended)


if __name__ == "__main__":
    main()
