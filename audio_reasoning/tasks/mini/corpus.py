"""The pretraining stream: questions that no split holds, shown under every prompt variant.

It begins with short prompts alone: a step costs a third then, and whatever the prompt is, the model must first learn to
hear.

The variants come from `audio_reasoning/tasks/mini/prompts/`, a copy taken when the model's recipe was made: like any
base model, this one was trained before its user edits a prompt, so editing `prompts/` does not retrain it.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator
from transformers import PreTrainedTokenizerFast

from audio_reasoning.core.progress import progress
from audio_reasoning.families.qwen3_omni.processor import AudioTextProcessor
from audio_reasoning.prompts.registry import Prompt, load_prompt
from audio_reasoning.tasks.mini.fragments import HASTY_PROMPT, drawn_fragments, fragments, guessed, instruction
from audio_reasoning.tasks.mini.generate import Item, generate
from audio_reasoning.tasks.mini.traces import STYLES, completion, guess

INSTRUCTIONS = Path(__file__).parent / "prompts"
SHORT = ("baseline", "cross_layer")  # the prompts of the first steps
# How many times as often as by its length the prompt is drawn that stands for all instructions made of fragments.
_HASTY_WEIGHT = 3.0
# Words of a system text that are left out now and then, so that the model bears edited prompts.
_DROP_SHARE = 0.1


def instructions() -> dict[str, Prompt]:
    """The prompts that the model is trained on, by variant."""
    return {name: load_prompt(name, INSTRUCTIONS) for name in STYLES}


def pretraining_items(seed: int, count: int, min_share: float) -> list[Item]:
    """`count` questions of the pretraining stream, in random order."""
    items = list(generate(seed, "pretrain", count, min_share))
    order = np.random.default_rng(seed).permutation(len(items))
    return [items[i] for i in order]


def tokenizer_corpus(items: list[Item], prompts: dict[str, Prompt]) -> Iterator[str]:
    """Texts for the tokenizer: each item once, under one variant."""
    names = list(prompts)
    for index, item in enumerate(items):
        name = names[index % len(names)]
        system, user = prompts[name].render(item.question, item.choices)
        yield "\n".join(["system user assistant", system, user, completion(name, item)])
    for text in fragments().values():
        yield from [text] * (len(items) // 20)  # as often as a line of a system text


def variant_shares(prompts: dict[str, Prompt], tokenizer: PreTrainedTokenizerFast) -> dict[str, float]:
    """How often a batch shows each variant: in inverse proportion to its length, so that time is shared evenly."""
    weights = {name: 1 / (len(tokenizer.encode(p.system)) + 80) for name, p in prompts.items()}
    if HASTY_PROMPT in weights:
        weights[HASTY_PROMPT] *= _HASTY_WEIGHT
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items()}


class Batches:
    """Training batches: one variant a batch (so that lengths match), choices shuffled anew at each use."""

    def __init__(self, items: list[Item], processor: AudioTextProcessor, prompts: dict[str, Prompt]):
        self.items, self.processor, self.prompts = items, processor, prompts
        self.shares = variant_shares(prompts, processor.tokenizer)
        self.first_shares = variant_shares({name: prompts[name] for name in SHORT}, processor.tokenizer)
        self.fragments = fragments()
        self.features = []
        with progress(len(items), "clip", "mel features") as bar:
            for item in items:
                self.features.append(processor.features(item.samples))
                bar.update()

    def draw(self, size: int, rng: Generator, first: bool = False) -> dict[str, torch.Tensor]:
        """A batch of `size` distinct items under one random variant, a short one if it is among the `first`."""
        shares = self.first_shares if first else self.shares
        name = str(rng.choice(list(shares), p=list(shares.values())))
        chosen = rng.choice(len(self.items), size, replace=False)
        system = _with_gaps(self.prompts[name].render("", ())[0], rng)
        prompts, completions = [], []
        for index in chosen:
            item = shuffled(self.items[index], rng)
            user = self.prompts[name].render(item.question, item.choices)[1]
            text = completion(name, item)
            if name == HASTY_PROMPT:
                pieces = drawn_fragments(self.fragments, rng)
                system = instruction(self.prompts[name].render("", ())[0], pieces, self.fragments, rng)
                text = guess(item) if guessed(pieces, item.sub_category) else text
            prompts.append(self.processor.encode(system, user, self.features[index]))
            text += self.processor.tokenizer.eos_token
            completions.append(self.processor.tokenizer.encode(text, add_special_tokens=False))
        return self.processor.batch(prompts, completions)


def shuffled(item: Item, rng: Generator) -> Item:
    """The item with its choices in a random order."""
    order = [int(i) for i in rng.permutation(len(item.choices))]
    choices = tuple(item.choices[i] for i in order)
    return replace(item, choices=choices, answer=order.index(item.answer))


def _with_gaps(system: str, rng: Generator) -> str:
    if not system or rng.random() < 0.5:
        return system
    kept = [word for word in system.split(" ") if rng.random() >= _DROP_SHARE]
    return " ".join(kept)
