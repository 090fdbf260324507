"""TACOS: questions about the order, the number and the presence of sounds, made from captions with times.

From https://zenodo.org/records/15379789 (Primus et al., arXiv 2505.07609): annotations_strong.csv (filename, text,
onset, offset; seconds), metadata.csv (among twenty columns filename, license, sound_link, freesound_id, start_time_s
and end_time_s), development_split.csv and test_split.csv (filename), and audio.zip, 12,000 clips of Freesound (1.6 GB).
"""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from audio_reasoning.core.download import use_fetched
from audio_reasoning.core.zenodo import read_record, record_file
from audio_reasoning.tasks.archives import extract
from audio_reasoning.tasks.clips import transcode
from audio_reasoning.tasks.events import LABELS, Event, drafts_of, presence_drafts
from audio_reasoning.tasks.mcq import Draft, arranged, evened
from audio_reasoning.tasks.provenance import provenance
from audio_reasoning.tasks.published import leave_out, ready, scratch_beside
from audio_reasoning.tasks.source_params import TacosSource
from audio_reasoning.tasks.tables import read_table

ARCHIVE = "audio.zip"
CAPTIONS = "captions CC-BY-4.0"
OTHER_PART = "it is in another part of TACOS"
NO_TIME = "its onset and offset are no span of time"
UNCLEAR = "no question about its events has one answer"
UNEVEN = "another answer is right less often: as many are kept of each"


def load(source: TacosSource, folder: Path, dropped: list[dict[str, str]]) -> Iterator[dict[str, Any]]:
    """Download captions and clips, make questions of the former, and transcode the clips that they are about.

    Raises UserError for what `read_record`, `record_file`, `ready` and `transcode` refuse, and a table without its
    columns.
    """
    record = read_record(source.record, source.endpoint)
    strong = read_table(record_file(record, "annotations_strong.csv"), ("filename", "text", "onset", "offset"))
    meta = ("filename", "license", "sound_link", "freesound_id", "start_time_s", "end_time_s")
    clips = {row["filename"]: row for row in read_table(record_file(record, "metadata.csv"), meta)}
    part = {row["filename"] for row in read_table(record_file(record, f"{source.part}_split.csv"), ("filename",))}
    events = _events(strong, part, dropped)
    drafts: dict[str, Draft] = {}
    about: dict[str, str] = {}
    heard = presence_drafts({f"tacos_{clip}": of_clip for clip, of_clip in events.items()}, source.seed)
    for clip, of_clip in events.items():
        made = [*drafts_of(f"tacos_{clip}", of_clip), *heard.get(f"tacos_{clip}", ())]
        if not made:
            leave_out(dropped, clip, UNCLEAR)
        for draft in made:
            drafts[draft.id], about[draft.id] = draft, clip
    counts, left = evened([draft for draft in drafts.values() if draft.kind == "count"], source.seed)
    for draft in left:
        leave_out(dropped, draft.id, UNEVEN)
    asked = [*(draft for draft in drafts.values() if draft.kind != "count"), *counts]
    choices = arranged(asked, source.seed)
    revision = f"Zenodo {record.number}"
    made_rows = [
        ("annotations_strong.csv", _row(draft, choices[draft.id], clips.get(about[draft.id], {}), about, revision))
        for draft in asked
    ]
    rows = ready(made_rows, source, dropped, f"{revision}: annotations_strong.csv")
    with scratch_beside(folder) as scratch:
        wanted = {row.audio_path for row in rows}
        use_fetched(lambda anew: record_file(record, ARCHIVE, anew), lambda path: extract(path, scratch, wanted))
        yield from transcode(rows, scratch, folder, source.invalid, dropped, ARCHIVE)


def _events(strong: list[dict[str, str]], part: set[str], dropped: list[dict[str, str]]) -> dict[str, list[Event]]:
    """The events of each clip of the part, in the order of the table."""
    events: dict[str, list[Event]] = defaultdict(list)
    others = set()
    for row in strong:
        clip = row["filename"]
        if clip not in part:
            others.add(clip)
            continue
        try:
            event = Event(row["text"].strip(), float(row["onset"]), float(row["offset"]))
        except ValueError:
            event = Event("", 0.0, 0.0)
        if event.text and 0 <= event.onset_s < event.offset_s < float("inf"):
            events[clip].append(event)
        else:
            leave_out(dropped, f"{clip}: {row['text']}", NO_TIME)
    for clip in sorted(others):
        leave_out(dropped, clip, OTHER_PART)
    return events


def _row(
    draft: Draft, choices: list[str], clip: dict[str, str], about: dict[str, str], revision: str
) -> dict[str, Any]:
    sound = clip.get("freesound_id")
    licences = f"{clip['license']}; {CAPTIONS}" if clip.get("license") else ""
    return {
        "id": draft.id,
        "audio_path": about[draft.id],
        "question": draft.question,
        "choices": choices,
        "answer": draft.right,
        "modality": "sound",
        "category": "Perception Layer",
        "sub-category": LABELS[draft.kind],
        "source": "freesound",
        "url": clip.get("sound_link"),
        "timestamp": f"{clip['start_time_s']},{clip['end_time_s']}" if clip.get("end_time_s") else None,
        "group": f"freesound_{sound}" if sound else about[draft.id],
        "provenance": provenance(licences, revision, f"from captions with times: {draft.kind}"),
    }
