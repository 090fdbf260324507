"""What writes new instructions, and the checks that each of them passes before it is tried."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Protocol

from audio_reasoning.optimizers.instructions import canonical, refusal

ATTEMPTS = 3  # at one instruction, each under a seed of its own


class NoReplyError(Exception):
    """A proposer gave nothing to check; the message says why in a word or two."""


@dataclass(frozen=True)
class Wanted:
    """An instruction that is to do better than `current`: what a model is told and asked for it."""

    system: str
    user: str
    current: str


@dataclass
class ProposerUsage:
    """What a proposer has been asked for, cached replies included; `cost` in US dollars is None where nobody tells."""

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float | None = None


class Proposer(Protocol):
    """Something that writes instructions; `label` says in files what it is."""

    label: str
    usage: ProposerUsage

    def propose(self, wanted: Wanted, seed: int) -> str:
        """A new instruction, not yet checked; raises NoReplyError where there is none."""

    def describe(self, system: str, user: str, seed: int) -> str:
        """A text that an optimiser wants to know before it asks for instructions; empty where there is none."""

    def label_of(self, instruction: str) -> str:
        """How an instruction came to be, in a few words."""


@dataclass
class Proposals:
    """The instructions of one search: `known` has the start's and all that can be tried, `refused` counts the others.

    The same search asks in the same order, so each request has the next seed, and a cached reply its place.
    """

    proposer: Proposer
    seed: int
    known: list[str]
    refused: Counter[str] = field(default_factory=Counter)
    asked: int = 0

    def next(self, wanted: Wanted) -> str | None:
        """A new instruction that can be tried; None if ATTEMPTS in a row could not."""
        for _ in range(ATTEMPTS):
            try:
                text = canonical(self.proposer.propose(wanted, self._next_seed()))
                reason = refusal(text, self.known)
            except NoReplyError as error:
                reason = str(error)
            if not reason:
                self.known.append(text)
                return text
            self.refused[reason] += 1
        return None

    def describe(self, system: str, user: str) -> str:
        """What the proposer says of something else than an instruction."""
        return self.proposer.describe(system, user, self._next_seed())

    def _next_seed(self) -> int:
        self.asked += 1
        return self.seed * 10_000 + self.asked
