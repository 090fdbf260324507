"""The thinking in a model's output, told by its tags alone."""

import re

from audio_reasoning.core.records import Rollout


def split_thinking(text: str) -> tuple[str, str, bool]:
    r"""Split an output into its thinking trace, what follows it, and whether no trace is left open.

    The opening tag may be missing, since chat templates put it into the prompt. Everything up to the
    last closing tag is thinking.

    >>> split_thinking("<think>It barks.</think>\nANSWER: Dog")
    ('It barks.', '\nANSWER: Dog', True)
    >>> split_thinking("It barks.</think>ANSWER: Dog")
    ('It barks.', 'ANSWER: Dog', True)
    >>> split_thinking("<think>It barks and")
    ('It barks and', '', False)
    >>> split_thinking("ANSWER: Dog")
    ('', 'ANSWER: Dog', True)
    """
    before, _, after = text.rpartition("</think>")
    body, reopened, unfinished = after.partition("<think>")
    pieces = re.split("</?think>", before + reopened + unfinished)
    thinking = "\n".join(piece.strip() for piece in pieces if piece.strip())
    return thinking, body, not reopened


def thinking_of(rollout: Rollout) -> str:
    """The thinking trace of a sampled answer."""
    return split_thinking(rollout.text)[0]


def is_cut(rollout: Rollout) -> bool:
    """Whether an answer ended at the token limit, or in thinking that was never closed; not where none came."""
    return not rollout.error and (rollout.finish_reason == "length" or not split_thinking(rollout.text)[2])
