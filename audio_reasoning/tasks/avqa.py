"""AVQA: questions about videos of everyday life, of which those that can be heard are kept (Yang et al., ACM MM 2022).

As R1-AQA trains on it (https://github.com/xiaomi-research/r1-aqa at 5d24f31, README): the annotations train_qa.json of
https://mn.cs.tsinghua.edu.cn/avqa, an array of objects with `id`, `video_name` (a YouTube id and the clip's start in
seconds: -HG3Omg_89c_000030), `question_text`, `multi_choice`, `answer` (an index), `question_relation` (View, Sound or
Both) and `question_type`; and the videos' sound, one file <video_name>.wav, or <id>_<seconds>.wav as R1-AQA names it.
The sound is not distributed, and clips last ten seconds, as VGGSound's.

Left out by rule, as by Ke-Omni-R (its prepare_aqa.py), which R1-AQA does not: questions that only need the view, and
questions about colours. "video" becomes "audio" in a question, as in R1-AQA.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from audio_reasoning.core.files import read_rows
from audio_reasoning.tasks.clips import transcode
from audio_reasoning.tasks.provenance import with_provenance
from audio_reasoning.tasks.published import leave_out, ready
from audio_reasoning.tasks.source_params import AvqaSource

CLIP_S = 10
VISUAL = "it is about what is seen (question_relation View)"
COLOUR = "it is about a colour"
_GENERAL = "Environmental Perception and Reasoning"
_COLOUR = re.compile(r"\bcolou?r", re.IGNORECASE)
_VIDEO = re.compile(r"\b([Vv])ideo\b")
_NAME = re.compile(r"^(?P<video>.+)_(?P<start>\d+)$")


def load(source: AvqaSource, folder: Path, dropped: list[dict[str, str]]) -> Iterator[dict[str, Any]]:
    """Read annotations and sound on this machine, and transcode the sound.

    Raises UserError for what `ready` and `transcode` refuse. A video without a file is audio that cannot be used.
    """
    path, audio = Path(source.questions), Path(source.audio)
    found = []
    for where, raw in read_rows(path):
        rule = rule_against(raw)
        if rule:
            leave_out(dropped, f"avqa_{raw.get('id')}", rule)
        else:
            found.append((where, _row(raw, audio)))
    rows = ready(found, source, dropped, source.questions)
    clips = transcode(rows, audio, folder, source.invalid, dropped, source.audio)
    yield from with_provenance(clips, "", path.name, "as published; video is called audio")


def rule_against(raw: dict[str, Any]) -> str:
    """Why a question cannot be asked of sound alone; "" where it can.

    >>> rule_against({"question_relation": "Both", "question_text": "What color is the train?"})
    'it is about a colour'
    """
    if raw.get("question_relation") == "View":
        return VISUAL
    return COLOUR if _COLOUR.search(str(raw.get("question_text"))) else ""


def _row(raw: dict[str, Any], audio: Path) -> dict[str, Any]:
    """A question in MMAR's schema; what is not as it should be is left for the schema to refuse."""
    name, choices, answer = raw.get("video_name"), raw.get("multi_choice"), raw.get("answer")
    question = raw.get("question_text")
    if isinstance(question, str):
        question = _VIDEO.sub(lambda match: "Audio" if match[1] == "V" else "audio", question)
    if isinstance(choices, list) and isinstance(answer, int) and 0 <= answer < len(choices):
        answer = choices[answer]
    row = {
        "id": f"avqa_{raw['id']}" if "id" in raw else None,
        "question": question,
        "choices": choices,
        "answer": answer,
        "modality": "sound",
        "category": "Perception Layer",
        "sub-category": "Temporal Analysis" if raw.get("question_type") == "Before Next" else _GENERAL,
        "source": "youtube",
    }
    if isinstance(name, str):
        row |= {"audio_path": _file(name, audio), "group": name}
        if clip := _NAME.match(name):
            start_s = int(clip["start"])
            row["group"] = clip["video"]
            row["url"] = f"https://www.youtube.com/watch?v={clip['video']}"
            row["timestamp"] = f"{_clock(start_s)},{_clock(start_s + CLIP_S)}"
    return {key: value for key, value in row.items() if value is not None}


def _file(name: str, audio: Path) -> str:
    """The name of the video's file: AVQA's, or R1-AQA's, whose seconds have no zeros in front, where that is there."""
    if clip := _NAME.match(name):
        short = f"{clip['video']}_{int(clip['start'])}.wav"
        if "/" not in short and (audio / short).is_file():
            return short
    return f"{name}.wav"


def _clock(seconds: int) -> str:
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
