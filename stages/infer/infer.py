"""Stage `infer`: answer every test question under one prompt variant.

    python -m stages.infer.infer --variant baseline

Writes data/predictions/<variant>.jsonl, one Response a sample, and <variant>.run.json, which says what made
them. An interrupted run goes on where it stopped: answers are cached outside DVC's outs.
"""

import argparse
import sys
from collections import Counter

from stages.common.errors import stage_main
from stages.common.files import BASE_MODEL, PREDICTIONS, QUESTIONS, write_json, write_jsonl
from stages.common.params import load_params
from stages.common.records import read_questions, to_dict
from stages.infer.answer import answer_questions
from stages.infer.extract import VERSION as EXTRACTOR_VERSION
from stages.prompt.registry import load_prompt


@stage_main
def main() -> None:
    """Run the stage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", required=True, help="a prompt's name: a file under prompts/, without .yaml")
    variant = parser.parse_args().variant
    params = load_params("infer", "serve", "model.id", "model.revision")
    hosted = params.infer.backend == "openai"
    prompt = load_prompt(variant)
    questions = read_questions(QUESTIONS / "test.jsonl")
    responses, backend = answer_questions(questions, prompt, BASE_MODEL, params)
    write_jsonl(PREDICTIONS / f"{variant}.jsonl", map(to_dict, responses))
    write_json(
        PREDICTIONS / f"{variant}.run.json",
        {
            "prompt": {"name": prompt.name, "version": prompt.version, "text_hash": prompt.text_hash},
            "model": None if hosted else {"id": params.model.id, "revision": params.model.revision, "adapter": None},
            "backend": backend,  # with the hash or commit of what it served
            "decoding": params.infer.model_dump(),
            "serve": None if hosted else params.serve.model_dump(),
            "extractor": EXTRACTOR_VERSION,
            "questions": len(questions),
        },
    )
    fates = Counter(response.status for response in responses)
    print(f"{variant}: {len(questions)} questions; " + ", ".join(f"{k} {v}" for k, v in sorted(fates.items())))
    for response in [r for r in responses if r.status == "error"][:3]:
        print(f"warning: {response.question_id}: {response.error}", file=sys.stderr)


if __name__ == "__main__":
    main()
