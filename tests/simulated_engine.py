"""An engine in this process whose accuracy depends on what the system text says, for tests of prompt optimisation."""

import hashlib
import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from audio_reasoning.core.files import sha256_json
from audio_reasoning.core.records import Audio, Question
from audio_reasoning.engines.answers import ChatResult, Sample, failed
from audio_reasoning.engines.engine import Decoding, OnAnswer, Request, Setup
from audio_reasoning.optimizers.proposers.bank import read_bank
from audio_reasoning.tasks.mini.fragments import FRAGMENTS


def question(number: int, split: str = "dev", sub_category: str = "Counting") -> Question:
    """A question about a clip of its own; which choice is right is decided by its number."""
    name = f"{split}{number}"
    sha256 = hashlib.sha256(name.encode()).hexdigest()
    choices = (f"{number % 7} bells", f"{number % 7 + 1} bells", "rain", "wind")
    audio = Audio(f"mini/{name}.flac", sha256, 2.0 + number % 5)
    asked = f"What is heard in recording {name}?"
    return Question(name, audio, asked, choices, number % 4, "Signal", sub_category, "sound", None, "mini", name)


def write_clips(questions: Iterable[Question], root: Path) -> None:
    """The files of their clips; nobody listens to what is in them."""
    for one in questions:
        path = root / one.audio.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(one.id.encode())


class Simulated:
    """See `Engine`: a question is answered right if its luck is below the accuracy of the system text.

    `helps` says what each phrase adds to a base of 0.3. Text alone, a proposer's request, gets the next of `replies`,
    time and again.
    """

    gives_token_ids = can_continue = False

    def __init__(self, questions: Sequence[Question], helps: dict[str, float], replies: Sequence[str] = ()) -> None:
        self.identity: dict[str, Any] = {"backend": "simulated"}
        self._questions = {one.id: one for one in questions}
        self._helps, self._replies = helps, list(replies)
        self.requests: list[Request] = []
        self.batches: list[int] = []
        self.failing: set[str] = set()  # ids of questions that cannot be asked
        self.proposed = 0
        self.delay_s = 0.0

    def keys(self, requests: Sequence[Request], decoding: Decoding) -> list[str]:
        """By all that decides an answer."""
        return [
            sha256_json([r.system, r.user, r.audio.sha256 if r.audio else "", decoding.model_dump()]) for r in requests
        ]

    def generate(self, requests: Sequence[Request], decoding: Decoding, known: int, on_answer: OnAnswer) -> None:
        """Answer in another order than was asked."""
        self.batches.append(len(requests))
        for index in reversed(range(len(requests))):
            request = requests[index]
            time.sleep(self.delay_s)
            self.requests.append(request)
            on_answer(index, self._reply(request) if request.audio is None else self._answer(request))

    def _reply(self, request: Request) -> ChatResult:
        self.proposed += 1
        if "[[ ## " in request.user and "[[ ## proposed_instruction ## ]]" not in request.user:
            return _said("[[ ## summary ## ]]\nIt is about recordings.")  # what MIPROv2 asks before
        reply = self._replies[0]
        self._replies.append(self._replies.pop(0))
        return failed("the request timed out") if reply == "TIMEOUT" else _said(reply)

    def _answer(self, request: Request) -> ChatResult:
        if request.id in self.failing:
            return failed("HTTP 500: broken")
        one = self._questions[request.id]
        accuracy = 0.3 + sum(gain for phrase, gain in self._helps.items() if phrase in request.system)
        luck = int(hashlib.sha256(request.id.encode()).hexdigest()[:8], 16) / 16**8
        if luck < accuracy and "_silence" not in (request.audio.path if request.audio else ""):
            return _said(f"<think>I hear it.</think>\nANSWER: {one.choices[one.answer]}")
        if luck > 0.97:
            return _said("I cannot tell.")
        return _said(f"<think>Hm.</think>\nANSWER: {one.choices[(one.answer + 1) % 4]}")


def _said(text: str) -> ChatResult:
    return ChatResult((Sample(text, "stop", 7),), prompt_tokens=100)


def open_engine(setup: Setup) -> Simulated:
    """The engine as a parameter names it, for questions `train…` and `dev…`; SIMULATED_DELAY_S slows each answer.

    Every second fragment of MMAR-mini's bank helps.
    """
    asked = [question(number, split) for split in ("train", "dev") for number in range(150)]
    engine = Simulated(asked, {fragment.text: 0.2 for fragment in read_bank(FRAGMENTS)[::2]})
    engine.delay_s = float(os.environ.get("SIMULATED_DELAY_S", "0"))
    return engine
