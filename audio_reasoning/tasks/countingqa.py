"""CountingQA of AudioSkills: how often something is heard, with the numbers around it as choices (arXiv 2503.03983).

From https://huggingface.co/datasets/nvidia/AudioSkills: audioskills_xl/CountingQA.json, an array of objects with `id`,
`sound` (a file's name), `duration` and `conversations`, [{from: human, value: "<sound>…"}, {from: gpt, value: …}]. The
clips are not among its files, and its card names no source of them: they are read from a folder on this machine.

A question is kept where it asks how many or how often, and its answer holds one number from 1 to 12. Its choices are
the four numbers of a block (1 to 4, 5 to 8, 9 to 12), each of which is right as often.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from audio_reasoning.core.files import read_rows
from audio_reasoning.core.hub import commit_of, dataset_file
from audio_reasoning.tasks.clips import transcode
from audio_reasoning.tasks.mcq import Draft, arranged, block, evened
from audio_reasoning.tasks.provenance import with_provenance
from audio_reasoning.tasks.published import leave_out, ready
from audio_reasoning.tasks.source_params import CountingQaSource

MOST = 12
NO_COUNT = "it is no question of how many with one number from 1 to 12 for an answer"
UNEVEN = "another answer is right less often: as many are kept of each"
_WORDS = "zero one two three four five six seven eight nine ten eleven twelve".split()  # noqa: SIM905
_NUMBERS = {word: number for number, word in enumerate(_WORDS)} | {"once": 1, "twice": 2, "thrice": 3}
_COUNTS = re.compile(r"\bhow (many|often)\b|\bcount\b|\bnumber of\b", re.IGNORECASE)


def load(source: CountingQaSource, folder: Path, dropped: list[dict[str, str]]) -> Iterator[dict[str, Any]]:
    """Download the questions, give them choices, and transcode the clips that lie in the source's folder.

    Raises UserError for what `dataset_file`, `ready` and `transcode` refuse.
    """
    commit = commit_of(source.repo, source.revision, "its revision", "dataset")
    path = dataset_file(source.repo, commit, source.questions)
    drafts: list[Draft] = []
    sounds: dict[str, Any] = {}
    for where, raw in read_rows(path, source.questions):
        name = f"countingqa_{raw.get('id', where.rpartition(':')[2])}"
        question, answer = turns(raw.get("conversations"))
        count = number_in(answer)
        if not _COUNTS.search(question) or count is None or name in sounds:
            leave_out(dropped, name, NO_COUNT)
            continue
        others = tuple(choice for choice in block(count) if choice != str(count))
        drafts.append(Draft(name, "count", question, str(count), others))
        sounds[name] = raw.get("sound")
    kept, left = evened(drafts, source.seed)
    for draft in left:
        leave_out(dropped, draft.id, UNEVEN)
    choices = arranged(kept, source.seed)
    found = [(source.questions, _row(draft, choices[draft.id], sounds[draft.id])) for draft in kept]
    rows = ready(found, source, dropped, f"{source.repo}/{source.questions}")
    audio = transcode(rows, Path(source.audio), folder, source.invalid, dropped, source.audio)
    yield from with_provenance(audio, "", f"{source.repo}@{commit}", "from a question and the number in its answer")


def turns(conversations: Any) -> tuple[str, str]:
    r"""What the human asks, without the mark of the sound, and what is answered; "" for what is not there.

    >>> turns([{"from": "human", "value": "<sound>\nHow many?"}, {"from": "gpt", "value": "Two."}])
    ('How many?', 'Two.')
    """
    said = {"human": "", "gpt": ""}
    for turn in reversed(conversations) if isinstance(conversations, list) else ():
        if isinstance(turn, dict) and turn.get("from") in said:
            said[turn["from"]] = " ".join(str(turn.get("value")).replace("<sound>", " ").split())
    return said["human"], said["gpt"]


def number_in(answer: str) -> int | None:
    """The number that an answer holds, in digits or words; None where there are two or none, or it is not 1 to 12.

    >>> number_in("The bell rings three times."), number_in("Once, then 2 more."), number_in("Many")
    (3, None, None)
    """
    found = {_NUMBERS.get(word, int(word) if word.isdecimal() else -1) for word in re.findall(r"\w+", answer.lower())}
    numbers = found - {-1}
    return numbers.pop() if len(numbers) == 1 and next(iter(numbers)) in range(1, MOST + 1) else None


def _row(draft: Draft, choices: list[str], sound: Any) -> dict[str, Any]:
    return {
        "id": draft.id,
        "audio_path": sound,
        "question": draft.question,
        "choices": choices,
        "answer": draft.right,
        "modality": "sound",
        "category": "Perception Layer",
        "sub-category": "Counting and Statistics",
        "source": "AudioSkills",
    }
