"""The model card of an exported model: the README.md that the Hugging Face hub shows, with its metadata in front.

What is not known is said to be not known. Names and texts that somebody else wrote are shown to the letter.
"""

from collections.abc import Iterator
from typing import Any

from audio_reasoning.render.card_facts import Facts
from audio_reasoning.render.card_sections import NOT_KNOWN, sections

FIRST_TASK = "audio-text-to-text"  # the hub's name of what the model does


def model_card(facts: Facts) -> str:
    """The card's text."""
    from huggingface_hub import ModelCardData

    datasets = sorted({source.dataset for source in facts.sources if source.dataset and source.questions.get("train")})
    data = ModelCardData(
        base_model=facts.base if facts.base_revision else None,
        base_model_relation={"merged": "finetune", "adapter": "adapter"}.get(facts.kind)
        if facts.base_revision
        else None,
        library_name="peft" if facts.kind == "adapter" else "transformers",
        license=facts.license or "unknown",
        pipeline_tag=FIRST_TASK,
        datasets=datasets or None,
        tags=["audio", "audio-reasoning", *(["lora", "self-training"] if facts.kind != "base" else [])],
        model_name=facts.name,
        eval_results=list(_results(facts)) or None,
    )
    body = "\n\n".join(part for section in sections(facts) for part in section)
    return f"---\n{data.to_yaml()}\n---\n\n{body}\n"


def _results(facts: Facts) -> Iterator[Any]:
    from huggingface_hub import EvalResult

    tests = [source for source in facts.sources if source.questions.get("test")]
    name = ", ".join(source.name for source in tests) or NOT_KNOWN
    for prompt, metrics in facts.metrics.items():
        row = metrics.overall
        for label, value, low, high in (
            ("strict", row.acc_strict, row.low, row.high),
            ("official", row.acc_official, row.official_low, row.official_high),
        ):
            yield EvalResult(
                task_type=FIRST_TASK,
                dataset_type=tests[0].dataset or tests[0].name if len(tests) == 1 else name,
                dataset_name=name,
                dataset_split="test",
                metric_type="accuracy",
                metric_name=f"{label} accuracy, prompt {prompt}",
                metric_value=round(100 * value, 2),
                metric_args={"low_95": round(100 * low, 2), "high_95": round(100 * high, 2), "questions": row.n},
            )
