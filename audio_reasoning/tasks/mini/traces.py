"""What the tiny model learns to write: one reasoning style a prompt variant, from a question's evidence."""

from audio_reasoning.core.errors import UserError, nearest
from audio_reasoning.tasks.mini.generate import Item

# Each variant's thinking, so that choosing a prompt truly changes how the model reasons.
STYLES = {
    "baseline": "{brief}",
    "expert_analyst": "I hear {heard}.",
    "anti_overthinking": "{brief}, so {answer}.",
    "category_aware": "Kind: {kind}. I hear {heard}.",
    "targeted_hints": "{heard}; {analysis}.",
    "structured_reasoning": "HEARD: {heard}.\nANALYSIS: {analysis}.",
    "minimal_instruction": "{heard}, so {answer}",
    "cross_layer": "{brief}; {analysis}",
}


def completion(variant: str, item: Item) -> str:
    """The assistant's turn for `item` in the style of `variant`, answer line included."""
    if variant not in STYLES:
        raise UserError(f"no reasoning style for the prompt {variant!r}; {nearest(variant, STYLES)}")
    answer = item.choices[item.answer]
    thinking = STYLES[variant].format(
        heard=item.evidence.heard,
        analysis=item.evidence.analysis,
        brief=item.evidence.brief,
        answer=answer,
        kind=item.sub_category.split()[0].lower(),
    )
    return f"<think>{thinking}</think>\nANSWER: {answer}"
