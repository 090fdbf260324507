"""MusicBench: questions about tempo, key, mode and metre, made from its annotations (Melechovsky et al., 2311.08355).

From https://huggingface.co/datasets/amaai-lab/MusicBench (b141e96): MusicBench_train.json, JSON lines of 52,768 clips
with `location` (data/<YouTube id>.wav, or data_aug2/<YouTube id>_<n>.wav of a copy shifted in pitch, tempo or volume),
`bpm`, `key` ([note, mode]), `keyprob`, `beats` ([times, numbers in the bar]) and, in later versions,
`is_audioset_eval_mcaps`; and MusicBench.tar.gz, which holds the ten seconds that were annotated (16.8 GB).

All four are extracted by machine, and a question is made only where its answer is far from any other: tempos of four
ranges with gaps between them, all within one octave, since half and double the tempo can be heard in the same beat;
keys that were found with a probability above 0.7, among keys that are neither relative, nor parallel, nor a fifth
apart; three or four beats a bar, since two and four sound alike.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from audio_reasoning.core.files import read_rows
from audio_reasoning.core.hub import commit_of, dataset_file
from audio_reasoning.tasks.hub import from_archive
from audio_reasoning.tasks.mcq import Draft, arranged, drawn, evened, levelled, rng_of
from audio_reasoning.tasks.provenance import provenance
from audio_reasoning.tasks.published import leave_out, ready
from audio_reasoning.tasks.source_params import MusicBenchSource

LICENSE = "CC-BY-SA-3.0"
TEMPOS = {"70 to 78": (70, 78), "86 to 96": (86, 96), "104 to 116": (104, 116), "126 to 139": (126, 139)}
NOTES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
MODES = ("major", "minor")
KEYS = tuple(f"{note} {mode}" for note in NOTES for mode in MODES)
KEY_PROBABILITY = 0.7
METRES = ("three", "four")
_FLATS = {"Db": "C#", "Eb": "D#", "Gb": "F#", "Ab": "G#", "Bb": "A#", "Cb": "B", "Fb": "E", "E#": "F", "B#": "C"}
_FIFTH = 7  # semitones

EVALUATION = "its clip is in the evaluation set of MusicCaps"
UNCLEAR = "no annotation of its clip is clear enough to ask about"
UNEVEN = "another answer is right less often: as many are kept of each"


def load(source: MusicBenchSource, folder: Path, dropped: list[dict[str, str]]) -> Iterator[dict[str, Any]]:
    """Download annotations and clips, make questions of the former, and transcode the clips that they are about.

    Raises UserError for what `dataset_file`, `ready` and `transcode` refuse, and an archive that is broken or unsafe.
    """
    commit = commit_of(source.repo, source.revision, "its revision", "dataset")
    table = dataset_file(source.repo, commit, source.questions)
    clips: dict[str, dict[str, Any]] = {}
    for _, raw in read_rows(table, source.questions):
        location = str(raw.get("location"))
        if raw.get("is_audioset_eval_mcaps"):
            leave_out(dropped, location, EVALUATION)
        elif not closed_drafts(raw) and not key_of(raw):
            leave_out(dropped, location, UNCLEAR)
        else:
            clips[location] = raw
    asked, uneven = drafts_of(clips, source.seed)
    for name in uneven:
        leave_out(dropped, name, UNEVEN)
    revision = f"{source.repo}@{commit}"
    rows = ready(_rows(asked, clips, source, revision), source, dropped, f"{source.repo}/{source.questions}")
    yield from from_archive(source, commit, rows, folder, dropped)


def drafts_of(clips: Mapping[str, dict[str, Any]], seed: int) -> tuple[list[Draft], list[str]]:
    """The questions that the clips' annotations answer, by their location; and the ids of those left out as uneven."""
    kept, left = evened([draft for raw in clips.values() for draft in closed_drafts(raw)], seed)
    keys = {_id(raw, "key"): key for raw in clips.values() if (key := key_of(raw))}
    level = levelled(keys, seed)
    pool = sorted(set(level.values()))
    for name, key in level.items():
        wrong = drawn(key, pool, 3, rng_of(seed, name), near_keys)
        if wrong:
            kept.append(Draft(name, "key", "Which key is this music in?", key, wrong))
    asked = {draft.id for draft in kept}
    return kept, [*(draft.id for draft in left), *(name for name in keys if name not in asked)]


def closed_drafts(raw: dict[str, Any]) -> list[Draft]:
    """The questions about one clip that have the same choices for every clip; none where an annotation is not clear."""
    made = []
    if tempo := tempo_of(raw.get("bpm")):
        question = "How many beats a minute does this music have?"
        made.append(Draft(_id(raw, "tempo"), "tempo", question, tempo, _others(tempo, TEMPOS)))
    if key := key_of(raw):
        mode, question = key.partition(" ")[2], "Is this music in a major or in a minor key?"
        made.append(Draft(_id(raw, "mode"), "mode", question, mode, _others(mode, MODES)))
    if metre := metre_of(raw.get("beats")):
        question = "Does a bar of this music have three beats or four?"
        made.append(Draft(_id(raw, "metre"), "metre", question, metre, _others(metre, METRES)))
    return made


def _others(choice: str, choices: Iterable[str]) -> tuple[str, ...]:
    return tuple(other for other in choices if other != choice)


def _id(raw: dict[str, Any], kind: str) -> str:
    return f"musicbench_{raw.get('location')}_{kind}"


def tempo_of(bpm: Any) -> str | None:
    """The range that a tempo in beats a minute lies in; None between them.

    >>> tempo_of(112.0), tempo_of(100), tempo_of(None)
    ('104 to 116', None, None)
    """
    if not isinstance(bpm, int | float):
        return None
    return next((name for name, (low, high) in TEMPOS.items() if low <= bpm <= high), None)


def key_of(raw: dict[str, Any]) -> str | None:
    """The key, with sharps for flats, where it is sure enough.

    >>> key_of({"key": ["Bb", "major"], "keyprob": [0.9]}), key_of({"key": ["C", "minor"], "keyprob": [0.5]})
    ('A# major', None)
    """
    key, probability = raw.get("key"), raw.get("keyprob")
    if not (isinstance(key, list) and len(key) == 2 and isinstance(probability, list) and probability):
        return None
    named = f"{_FLATS.get(key[0], key[0])} {key[1]}"
    return named if named in KEYS and probability[0] > KEY_PROBABILITY else None


def near_keys(one: str, other: str) -> bool:
    """Whether two keys share so many notes that one is easily taken for the other.

    >>> near_keys("C major", "A minor"), near_keys("C major", "G major"), near_keys("C major", "F# major")
    (True, True, False)
    """
    (note, mode), (other_note, other_mode) = one.split(), other.split()
    apart = (NOTES.index(other_note) - NOTES.index(note)) % 12
    if mode == other_mode:
        return apart in (0, _FIFTH, 12 - _FIFTH)
    from_major = apart if mode == "major" else (12 - apart) % 12
    return from_major in (0, 9)  # parallel, relative


def metre_of(beats: Any) -> str | None:
    """Three or four beats a bar, by the highest number of a beat; None for any other.

    >>> metre_of([[0.1, 0.6, 1.1, 1.6], [1, 2, 3, 1]]), metre_of([[0.1], [1]])
    ('three', None)
    """
    if not (isinstance(beats, list) and len(beats) == 2 and isinstance(beats[1], list) and beats[1]):
        return None
    highest = max(beats[1])
    return {3: "three", 4: "four"}.get(int(highest)) if isinstance(highest, int | float) else None


def _rows(
    asked: list[Draft], clips: Mapping[str, dict[str, Any]], source: MusicBenchSource, revision: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The questions in MMAR's schema, with their places."""
    choices = arranged(asked, source.seed)
    for draft in asked:
        location = draft.id.removeprefix("musicbench_").removesuffix(f"_{draft.kind}")
        video = PurePosixPath(location).stem
        if location.startswith("data_aug"):
            video = video.rpartition("_")[0]  # shifted copies of one clip stay together
        row = {
            "id": draft.id,
            "audio_path": location,
            "question": draft.question,
            "choices": choices[draft.id],
            "answer": draft.right,
            "modality": "music",
            "category": "Perception Layer",
            "sub-category": "Music Theory",
            "source": clips[location].get("dataset") or "MusicBench",
            "url": f"https://www.youtube.com/watch?v={video}",
            "group": video,
            "provenance": provenance(LICENSE, revision, f"from the annotated {draft.kind}"),
        }
        yield f"{source.questions} ({location})", row
