"""What a model is shown that writes a better instruction from how the last one did."""

from collections.abc import Mapping, Sequence
from typing import Any

from audio_reasoning.optimizers.instructions import MOST_CHARS

SYSTEM = "You write instructions for a model that listens to recordings and answers multiple-choice questions."
TASK = """The model is given this instruction, then a recording, a question and its choices. You cannot hear the \
recordings, and it will get others than these.

# The instruction

{instruction}

# What the model did with it

{examples}

# Your task

Find out what the model does wrong and why: does it mishear, miscount, stop early, think in circles, misread the \
question, leave the form of the answer? Write an instruction that mends it and keeps what works. Say what to do with \
any recording and any question; do not name these examples, their choices or their answers. Plain text of at most \
{most} characters, without braces. The form of the answer is told elsewhere. Reply with the new instruction alone."""


def reflection(instruction: str, examples: Sequence[Mapping[str, Any]]) -> str:
    """The text that asks for a better instruction; `examples` are GEPA's, with inputs, outputs and feedback."""
    shown = "\n\n".join(f"## Example {number}\n\n{_example(one)}" for number, one in enumerate(examples, start=1))
    return TASK.format(instruction=instruction, examples=shown, most=MOST_CHARS)


def _example(example: Mapping[str, Any]) -> str:
    asked = example["Inputs"]
    written = example["Generated Outputs"]["answer"].strip() or "(nothing)"
    return (
        f"Recording: {asked['audio']}\nQuestion: {asked['question']}\nChoices: {asked['choices']}\n"
        f"The model wrote:\n{written}\nOutcome: {example['Feedback']}"
    )
