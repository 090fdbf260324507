"""The proposer `bank`: puts instructions together from fragments that people wrote; needs no model."""

import random
from collections.abc import Sequence
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import read_text
from audio_reasoning.core.parse import parse_yaml
from audio_reasoning.core.typed import Name, Strict
from audio_reasoning.optimizers.instructions import canonical, refusal
from audio_reasoning.optimizers.proposers.proposer import ProposerUsage, Wanted

LEAST, MOST = 2, 5  # fragments of an instruction that is put together anew


class Fragment(Strict):
    """A piece of an instruction, which stands on lines of its own."""

    name: Name
    text: str


def read_bank(path: Path) -> list[Fragment]:
    """The fragments in a file; raises UserError for fewer than LEAST, or one that no instruction could hold."""
    try:
        fragments = TypeAdapter(list[Fragment]).validate_python(parse_yaml(read_text(path), str(path)))
    except ValidationError as error:
        place = ".".join(map(str, error.errors()[0]["loc"]))
        raise UserError(f"{path}: {place}: {error.errors()[0]['msg']}; a bank is a list of name and text") from None
    if len(fragments) < LEAST:
        raise UserError(f"{path}: {len(fragments)} fragment(s); a bank needs {LEAST} or more")
    texts: list[str] = []
    for fragment in fragments:
        if reason := refusal(canonical(fragment.text), texts):
            raise UserError(f"{path}: the fragment {fragment.name!r} cannot be used: {reason}")
        texts.append(canonical(fragment.text))
    return [Fragment(name=one.name, text=text) for one, text in zip(fragments, texts, strict=True)]


class Bank:
    """See `Proposer`: an instruction without fragments gives way to some; of one with fragments, one is changed.

    `opening` is the start's own system text, with which an instruction may begin.
    """

    label = "bank"

    def __init__(self, fragments: Sequence[Fragment], opening: str) -> None:
        self._fragments = {fragment.text: fragment.name for fragment in fragments}
        self._opening = opening
        self.usage = ProposerUsage(cost=0.0)

    def propose(self, wanted: Wanted, seed: int) -> str:
        """An instruction that the seed decides."""
        rng = random.Random(seed)
        opened, chosen = self._parts(wanted.current)
        if chosen:
            self._change(chosen, rng)
        else:
            opened = bool(self._opening) and rng.random() < 0.5
            chosen = rng.sample([*self._fragments], rng.randint(LEAST, min(MOST, len(self._fragments))))
        return "\n".join([self._opening] * opened + chosen)

    def describe(self, system: str, user: str, seed: int) -> str:
        """Nothing: the bank reads no description."""
        return ""

    def label_of(self, instruction: str) -> str:
        """The names of its fragments."""
        opened, chosen = self._parts(instruction)
        return ", ".join(["the start's text"] * opened + [self._fragments[text] for text in chosen])

    def _parts(self, instruction: str) -> tuple[bool, list[str]]:
        """Whether an instruction begins with the start's text, and the fragments behind it, or without it."""
        opened = bool(self._opening) and instruction.startswith(self._opening)
        lines = f"\n{instruction.removeprefix(self._opening).strip()}\n"
        places = {text: lines.find(f"\n{text}\n") for text in self._fragments}
        chosen = sorted((text for text, place in places.items() if place >= 0), key=places.__getitem__)
        return opened, chosen

    def _change(self, chosen: list[str], rng: random.Random) -> None:
        """Add, remove or replace a fragment."""
        others = [text for text in self._fragments if text not in chosen]
        ways = ["add", "replace"] * bool(others) + ["remove"] * (len(chosen) > 1)
        way = rng.choice(ways) if ways else ""
        place = rng.randrange(len(chosen))
        if way == "add":
            chosen.insert(rng.randint(0, len(chosen)), rng.choice(others))
        elif way == "replace":
            chosen[place] = rng.choice(others)
        elif way == "remove":
            del chosen[place]
