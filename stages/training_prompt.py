"""The prompt that a model is sampled and trained under."""

from audio_reasoning.core.errors import UserError
from audio_reasoning.prompts.registry import Prompt, load_prompt
from stages.layout import PROMPTS


def training_prompt(name: str) -> Prompt:
    """The prompt of that name; UserError as `load_prompt` raises it, and for one that shows clips before the question.

    A trace is trained on with its question's clip alone (`audio_reasoning/training/dataset.py`).
    """
    prompt = load_prompt(name, PROMPTS)
    if any(one.audio for one in prompt.demonstrations):
        raise UserError(
            f"prompt: the demonstrations of {prompt.name} have clips, and a training reads one clip a prompt; "
            "choose another prompt, or take the clips out of its demonstrations"
        )
    return prompt
