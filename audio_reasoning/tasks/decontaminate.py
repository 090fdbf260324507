"""Decontamination: what of train and dev is in a test set, under whatever name, and goes.

Rules run from the cheapest to the dearest, and each looks at what those before it left: the same id, the same source
video (or group, as a source names its clips), the same audio file, the same recording (tasks/copies.py),
nearly the same text (tasks/near_text.py).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from audio_reasoning.core.mmar import Split
from audio_reasoning.core.records import Question
from audio_reasoning.tasks.combine_params import Decontaminate, NearText, SameSound
from audio_reasoning.tasks.copies import Clip, copies
from audio_reasoning.tasks.near_text import Text, near_duplicates

# (index of a question, index of the test question that it collides with, what tells)
Collision = tuple[int, int, str]
Rule = Callable[[Sequence[Question], Sequence[Question]], Iterator[Collision]]
RULES = ("id", "video", "audio file", "sound", "text")


@dataclass(frozen=True)
class Removal:
    """One question that goes: by which rule, since it collides with which test question, and what tells."""

    id: str
    source: str
    split: Split
    why: str
    test_id: str
    test_source: str
    detail: str


def removals(
    splits: Mapping[Split, Sequence[Question]],
    audio: Path,
    videos: Mapping[str, str],
    params: Decontaminate,
    kept: Path | None = None,
) -> list[Removal]:
    """The questions of train and dev that collide with a test question, by split and in order.

    `audio` is the folder that clips' paths begin in; `videos` names the source video of a question by its id in its
    source, as `video_key` writes it, where one is known. Clips of a source in `params.synthetic` are compared by sound
    with those of other sources alone. Fingerprints of clips are kept in the folder `kept`, where one is given.
    """
    test = splits["test"]
    asked: list[tuple[Split, Question]] = [(split, q) for split in ("train", "dev") for q in splits[split]]
    if not params.enabled or not test:
        return []
    found: dict[int, Removal] = {}
    for why, rule in zip(RULES, _rules(audio, videos, params, kept), strict=True):
        left = [index for index in range(len(asked)) if index not in found]
        for at, other, detail in rule([asked[index][1] for index in left], test):
            (split, question), match = asked[left[at]], test[other]
            found[left[at]] = Removal(question.id, question.source, split, why, match.id, match.source, detail)
    return [found[index] for index in sorted(found)]


def video_key(source: str, question_id: str) -> str:
    """The name of a question among those of all sources."""
    return f"{source}/{question_id}"


def _rules(audio: Path, videos: Mapping[str, str], params: Decontaminate, kept: Path | None) -> tuple[Rule, ...]:
    def video(question: Question) -> list[str]:
        known = videos.get(video_key(question.source, question.id))
        return [question.group, known] if known else [question.group]

    return (
        lambda asked, test: _same(asked, test, lambda question: [question.id]),
        lambda asked, test: _same(asked, test, video),
        lambda asked, test: _same(asked, test, lambda question: [question.audio.sha256]),
        lambda asked, test: _same_sound(asked, test, audio, params.sound, set(params.synthetic), kept),
        lambda asked, test: _near_text(asked, test, params.text),
    )


def _same(
    asked: Sequence[Question], test: Sequence[Question], names: Callable[[Question], Sequence[str]]
) -> Iterator[Collision]:
    """Questions that share one of their `names` with a test question."""
    known: dict[str, int] = {}
    for index, question in enumerate(test):
        for name in names(question):
            known.setdefault(name, index)
    for index, question in enumerate(asked):
        if shared := [name for name in names(question) if name in known]:
            yield index, known[shared[0]], shared[0]


def _same_sound(
    asked: Sequence[Question],
    test: Sequence[Question],
    audio: Path,
    params: SameSound | None,
    synthetic: set[str],
    kept: Path | None,
) -> Iterator[Collision]:
    def clip(question: Question) -> Clip:
        apart = question.source if question.source in synthetic else None
        return Clip(audio / question.audio.path, apart, question.audio.sha256)

    if params is None:
        return
    of_asked, of_test = _by_file(asked), _by_file(test)
    clips = [clip(asked[members[0]]) for members in of_asked]
    known = [clip(test[members[0]]) for members in of_test]
    for members, copy in zip(of_asked, copies(clips, known, params, kept), strict=True):
        if copy:
            detail = f"{copy.shared_s:.1f} s in common, {copy.distance_db:.1f} dB apart, coherence {copy.coherence:.2f}"
            for index in members:
                yield index, of_test[copy.known][0], detail


def _by_file(questions: Sequence[Question]) -> list[list[int]]:
    """The indices of questions about one file, file by file."""
    members: dict[str, list[int]] = {}
    for index, question in enumerate(questions):
        members.setdefault(question.audio.sha256, []).append(index)
    return list(members.values())


def _near_text(asked: Sequence[Question], test: Sequence[Question], params: NearText | None) -> Iterator[Collision]:
    if params is None:
        return
    texts, known = ([_text(question) for question in questions] for questions in (asked, test))
    for index, other, share in near_duplicates(texts, known, params.likeness, params.common):
        yield index, other, f"likeness {share:.2f}"


def _text(question: Question) -> Text:
    return Text(question.question, question.choices, question.group, question.source)
