"""What the reference project reports of each approach, to be read beside what is found here.

The figures are those of the table "Key Results" in its README: one run each, of another model on another test set.
"""

from dataclasses import dataclass
from typing import Literal

Approach = Literal["baseline", "structured prompting", "optimised prompts", "self-training", "majority vote"]

SOURCE = "sujitnoronha/audio_reasoning_interspeech"  # on GitHub
MODEL = "Qwen3-Omni-30B-A3B-Thinking"
BENCHMARK = "MMAR"
QUESTIONS = 1_000
CAVEAT = "their figures, another model and test set"
LABEL = f"reported by the reference project ({MODEL}, {BENCHMARK}, n={QUESTIONS}; {CAVEAT})"


@dataclass(frozen=True)
class Reported:
    """An accuracy as it is reported, and what it is here.

    `counterpart` is a prompt's name, of an optimised prompt its optimiser's; empty where there is none here.
    """

    approach: Approach
    name: str
    accuracy: float
    counterpart: str

    @property
    def difference(self) -> float:
        """To the baseline that is reported, whatever the approach; rounded as accuracies are."""
        return round(self.accuracy - BASELINE.accuracy, 3)


BASELINE = Reported("baseline", "Baseline", 0.671, "baseline")
REPORTED = (
    BASELINE,
    Reported("baseline", "Baseline 4-bit", 0.657, ""),
    Reported("structured prompting", "Expert Analyst", 0.683, "expert_analyst"),
    Reported("structured prompting", "Category-Aware", 0.681, "category_aware"),
    Reported("structured prompting", "Targeted Hints", 0.674, "targeted_hints"),
    Reported("structured prompting", "Structured Reasoning", 0.720, "structured_reasoning"),
    Reported("optimised prompts", "MIPROv2 Optimized", 0.633, "mipro"),
    Reported("self-training", "Full LoRA + basic", 0.647, "baseline"),
    Reported("self-training", "Full LoRA + Structured Reasoning", 0.655, "structured_reasoning"),
)
