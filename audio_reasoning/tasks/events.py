"""Questions about sounds of which a caption and a time are known, made only where they have one answer.

As a public builder of timeline questions does (TACoBeLAL), events under half a second are passed over, and nothing is
asked about the order of events that begin within a twentieth of a second, overlap, or have a caption that occurs twice.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from audio_reasoning.tasks.mcq import Draft, block, drawn, rng_of

SHORTEST_S = 0.5
TIE_S = 0.05
MOST_TIMES = 4
# What each kind of question is counted under in MMAR's taxonomy.
LABELS = {
    "next": "Temporal Analysis",
    "previous": "Temporal Analysis",
    "first": "Temporal Analysis",
    "last": "Temporal Analysis",
    "count": "Counting and Statistics",
    "heard": "Environmental Perception and Reasoning",
}
_WRONG = 3
_COMMON = frozenset(
    [
        *("the", "and", "with", "from", "then", "that", "this", "are", "being", "while", "into", "over", "near"),
        *("sound", "sounds", "noise", "heard", "audio"),
    ]
)


@dataclass(frozen=True)
class Event:
    """A sound's caption, and when it begins and ends, in seconds."""

    text: str
    onset_s: float
    offset_s: float


def drafts_of(name: str, events: Sequence[Event]) -> list[Draft]:
    """The questions about one clip that its events answer; `name` begins their ids."""
    long = sorted((e for e in events if e.offset_s - e.onset_s >= SHORTEST_S), key=lambda e: (e.onset_s, e.text))
    times = Counter(_same(event.text) for event in long)
    once = [event for event in long if times[_same(event.text)] == 1]
    return [*_order(name, long, once), *_counts(name, events, long)]


def _order(name: str, long: Sequence[Event], once: Sequence[Event]) -> Iterator[Draft]:
    for kind, place in (("first", 0), ("last", -1)):
        if once and long[place] in once and not _tied(long[place], long):
            yield from _draft(f"{name}_{kind}", kind, f"Which of these sounds begins {kind}?", long[place], once)
    for number, (one, other) in enumerate(pairwise(long)):
        if one in once and other in once and not _tied(one, long) and not _tied(other, long):
            if other.onset_s < one.offset_s:
                continue
            ends, begins = f"{name}_{number}_next", f"{name}_{number}_previous"
            question = f'Which sound begins next after this one: "{one.text}"?'
            yield from _draft(ends, "next", question, other, [event for event in once if event is not one])
            question = f'Which sound begins last before this one: "{other.text}"?'
            yield from _draft(begins, "previous", question, one, [event for event in once if event is not other])


def _draft(name: str, kind: str, question: str, right: Event, events: Sequence[Event]) -> Iterator[Draft]:
    """A question with other events of the clip as wrong choices, two at least, none of which are alike."""
    wrong: list[Event] = []
    for event in events:
        if event is not right and not any(alike(event.text, other.text) for other in (right, *wrong)):
            wrong.append(event)
    if len(wrong) >= 2:
        kept = rng_of(0, name).sample(wrong, min(_WRONG, len(wrong)))
        yield Draft(name, kind, question, right.text, tuple(event.text for event in kept))


def _counts(name: str, events: Sequence[Event], long: Sequence[Event]) -> Iterator[Draft]:
    """How often a caption is there: all its events are long and apart, and no other caption may mean the same."""
    for number, text in enumerate(dict.fromkeys(_same(event.text) for event in long)):
        mine = sorted((event for event in events if _same(event.text) == text), key=lambda event: event.onset_s)
        if len(mine) > MOST_TIMES or any(event not in long for event in mine):
            continue
        if any(other.onset_s < one.offset_s + TIE_S for one, other in pairwise(mine)):
            continue
        if any(_same(event.text) != text and alike(event.text, text) for event in events):
            continue
        right, question = str(len(mine)), f'How many times is this heard: "{mine[0].text}"?'
        others = tuple(choice for choice in block(len(mine), MOST_TIMES) if choice != right)
        yield Draft(f"{name}_{number}_count", "count", question, right, others)


def presence_drafts(events: Mapping[str, Sequence[Event]], seed: int) -> dict[str, list[Draft]]:
    """For each clip, which of four captions is heard in it: one of its own, and three that nothing in it is like.

    A clip's name begins its question's id. Captions are drawn alike for right and wrong: one of each clip, and no
    caption is two clips' own.
    """
    own: dict[str, str] = {}
    taken: set[str] = set()
    for clip, of_clip in events.items():
        texts = sorted({event.text for event in of_clip if event.offset_s - event.onset_s >= SHORTEST_S})
        free = [text for text in texts if _same(text) not in taken]
        if free:
            own[clip] = rng_of(seed, f"own {clip}").choice(free)
            taken.add(_same(own[clip]))
    pool = sorted(own.values())
    drafts = {}
    for clip, right in own.items():
        heard = [event.text for event in events[clip]]
        wrong = drawn(right, pool, _WRONG, rng_of(seed, clip), alike)
        if wrong and not any(alike(one, other) for one in wrong for other in heard):
            drafts[clip] = [Draft(f"{clip}_heard", "heard", "Which of these sounds is heard?", right, wrong)]
    return drafts


def alike(one: str, other: str) -> bool:
    """Whether two captions share a word that says something: they may be about the same sound.

    >>> alike("A dog barks.", "Dogs are barking far away."), alike("A dog barks.", "A car passes by.")
    (True, False)
    """
    return bool(_stems(one) & _stems(other))


def _stems(text: str) -> set[str]:
    words = re.findall(r"[a-z]+", text.lower())
    return {word.removesuffix("s")[:5] for word in words if len(word) > 2 and word not in _COMMON}


def _same(text: str) -> str:
    """A caption without what does not tell it from another."""
    return " ".join(re.findall(r"\w+", text.lower()))


def _tied(event: Event, events: Sequence[Event]) -> bool:
    return any(other is not event and abs(other.onset_s - event.onset_s) <= TIE_S for other in events)
