"""A proposer as the language model that MIPROv2 asks: it wants texts under the names of its fields."""

import re
from typing import Any

from audio_reasoning.optimizers.border import at_home
from audio_reasoning.optimizers.proposers.proposer import Proposals, Wanted
from audio_reasoning.optimizers.wire import written

ASKED = re.compile(r"starting with the field `\[\[ ## (\w+) ## \]\]`")
INSTRUCTION = "proposed_instruction"


class FieldWriter:
    """An engine for `dspy.LM` that answers each request with the one field that it asks for.

    Of an instruction only what can be tried is handed on; where nothing is, the start's own instruction, which MIPROv2
    knows already.
    """

    def __init__(self, proposals: Proposals) -> None:
        self._proposals = proposals

    def complete(self, request: Any) -> Any:
        """The reply to a request of DSPy's."""
        with at_home():
            system, user = request.system or "", request.messages[-1].text
            asked = ASKED.search(user)
            assert asked, f"DSPy names no field that it wants: {user[-200:]}"
            text = self._text(asked[1], system, user)
            return written(f"[[ ## {asked[1]} ## ]]\n{text}\n\n[[ ## completed ## ]]", request.model)

    def _text(self, field: str, system: str, user: str) -> str:
        start = self._proposals.known[0]
        if field == INSTRUCTION:
            return self._proposals.next(Wanted(system, user, start)) or start
        return self._proposals.describe(system, user) or "Nothing is known of it."
