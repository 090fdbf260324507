"""Stage `questions`: combine the sources of params.yaml into one file a split, and keep train and dev clear of test.

Writes `data/questions/{train,dev,test}.jsonl` (Question records) and `manifest.json` (what they hold, what was left out
and why, and what was removed since a test question collides with it). Refuses ids that are not unique, and a source
video, clip or audio file that is still found in two splits.

    python -m stages.questions
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from audio_reasoning.core.clips import video_of
from audio_reasoning.core.errors import UserError, stage_main
from audio_reasoning.core.files import read_jsonl, sha256_file, sha256_json, write_json, write_jsonl
from audio_reasoning.core.files import read_rows as read_objects
from audio_reasoning.core.labels import Spellings
from audio_reasoning.core.mmar import Split
from audio_reasoning.core.progress import progress
from audio_reasoning.core.records import Audio, Question, to_dict
from audio_reasoning.core.typed import Strict
from audio_reasoning.render.removals import removal_table
from audio_reasoning.tasks.audio import flac_duration
from audio_reasoning.tasks.combine import check_shares, relabelled, taken
from audio_reasoning.tasks.combine_params import Combine, Decontaminate, Part
from audio_reasoning.tasks.decontaminate import Removal, removals, video_key
from audio_reasoning.tasks.kept_marks import prune
from audio_reasoning.tasks.mmar_schema import SPLITS, Row, labels_of, read_rows
from audio_reasoning.tasks.params import Data, Shares
from audio_reasoning.tasks.splits import divide, linked
from stages.layout import AUDIO, QUESTIONS, SOURCES, cache_dir
from stages.params import load_params

Splits = dict[Split, list[Question]]


class Params(Strict):
    """What the stage reads."""

    data: Data
    trial: bool = False


ALL = Part()  # what is taken of a source that nothing is said of


def gather(sources: dict[str, Any], combine: Combine | None = None) -> tuple[Splits, list[dict[str, str]]]:
    """Read and check the named sources; return what is taken of their questions by split, and what was left out.

    Raises UserError for what `read_rows` refuses, a question of no split, audio that is not there, a sub-category that
    is not in the map of its source, and one label in two spellings.
    """
    combine = combine or Combine()
    splits: Splits = {split: [] for split in SPLITS}
    dropped: list[dict[str, str]] = []
    spellings = Spellings()
    for name, source in sources.items():
        path = SOURCES / name / "questions.jsonl"
        rows = _labelled(name, read_rows(path), combine.parts.get(name, ALL))
        for left_out in read_jsonl(SOURCES / name / "dropped.jsonl"):
            split = left_out.get("split") or getattr(source, "split", None)
            what = {"source": name, "split": split, "id": left_out["id"], "what": "the question"}
            dropped.append({**what, "why": left_out["why"]})
        audio = _describe_audio({row.audio_path for row in rows})
        drawn = _drawn(name, rows, audio, source)
        of_source: Splits = {split: [] for split in SPLITS}
        for row in rows:
            split = row.split or drawn.get(row.id) or getattr(source, "split", None)
            if split is None:
                raise UserError(f"{path}: id {row.id!r} has no split, and data.sources.{name} names none")
            spellings.add(labels_of(row), f"the source {name} (id {row.id!r})")
            of_source[split].append(_question(row, audio[row.audio_path], name))
            if row.blank_choices:
                what = {"source": name, "split": split, "id": row.id, "what": "a blank choice"}
                dropped.append({**what, "why": "it cannot be chosen"})
        for split, questions in of_source.items():
            splits[split] += taken(questions, combine.parts.get(name, ALL), combine.seed)
    return splits, dropped


def _labelled(name: str, rows: list[Row], part: Part) -> list[Row]:
    try:
        rows = relabelled(rows, part.labels)
        check_shares(rows, part)
    except UserError as error:
        raise UserError(f"data.combine.parts.{name}.{error}") from None
    return rows


def _drawn(name: str, rows: list[Row], audio: dict[str, Audio], source: Any) -> dict[str, Split]:
    """The split of each question by id, where the source gives shares; nothing where it does not.

    What belongs to a question with a split of its own, by group or by clip, follows it.
    """
    shares = getattr(source, "split", None)
    if not isinstance(shares, Shares):
        return {}
    rows = sorted(rows, key=lambda row: row.id)  # the order in the file decides nothing
    groups = linked([row.group for row in rows], [audio[row.audio_path].sha256 for row in rows])
    given = {group: row.split for row, group in zip(rows, groups, strict=True) if row.split}
    splits = {row.id: given[group] for row, group in zip(rows, groups, strict=True) if group in given}
    free = [(row, group) for row, group in zip(rows, groups, strict=True) if group not in given]
    if free:
        try:
            of_free = divide([group for _, group in free], [row.sub_category for row, _ in free], shares)
        except UserError as error:
            raise UserError(f"data.sources.{name}.split: {error}") from None
        splits |= {row.id: split for (row, _), split in zip(free, of_free, strict=True)}
    return splits


def _describe_audio(paths: set[str]) -> dict[str, Audio]:
    described = {}
    with progress(len(paths), "file", "hashing audio") as bar:
        for path in sorted(paths):
            file = AUDIO / path
            duration_s = flac_duration(file)
            described[path] = Audio(path, sha256_file(file), duration_s)
            bar.update()
    return described


def _question(row: Row, audio: Audio, source: str) -> Question:
    return Question(
        id=row.id,
        audio=audio,
        question=row.question,
        choices=row.choices,
        answer=row.answer,
        category=row.category,
        sub_category=row.sub_category,
        modality=row.modality,
        language=row.language,
        source=source,
        group=row.group,
    )


def decontaminated(splits: Splits, sources: Iterable[str], params: Decontaminate) -> tuple[Splits, list[Removal]]:
    """The splits without what of train and dev a test question collides with, and what that is."""
    kept = cache_dir() / "fingerprints"
    removed = removals(splits, AUDIO, _videos(sources) if params.enabled else {}, params, kept)
    prune(kept)
    gone = {(removal.source, removal.id) for removal in removed}
    clear = {
        split: [question for question in questions if (question.source, question.id) not in gone]
        for split, questions in splits.items()
    }
    return clear, removed


def _videos(sources: Iterable[str]) -> dict[str, str]:
    """The source video of each question whose source names an address, as `removals` takes it."""
    videos = {}
    for name in sources:
        for _, raw in read_objects(SOURCES / name / "questions.jsonl"):
            if isinstance(url := raw.get("url"), str) and (video := video_of(url)):
                videos[video_key(name, raw["id"])] = video
    return videos


def check_disjoint(splits: Splits) -> None:
    """Refuse an id that occurs twice, and a group or audio file that occurs in two splits."""
    ids: dict[str, Question] = {}
    groups: dict[str, tuple[Split, Question]] = {}
    hashes: dict[str, tuple[Split, Question]] = {}
    for split, questions in splits.items():
        for question in questions:
            other = ids.setdefault(question.id, question)
            if other is not question:
                raise UserError(
                    f"the id {question.id!r} is in the sources {other.source} and {question.source}; "
                    "give one of them ids of its own"
                )
            for what, seen, key in (("group", groups, question.group), ("audio", hashes, question.audio.sha256)):
                first, example = seen.setdefault(key, (split, question))
                if first != split:
                    raise UserError(
                        f"{what} {key} is in two splits: question {example.id!r} ({first}, source {example.source}) "
                        f"and {question.id!r} ({split}, source {question.source}); keep it in one"
                    )


def manifest(splits: Splits, dropped: list[dict[str, str]], removed: list[Removal]) -> dict[str, Any]:
    """Counts by split, what was left out, and what was removed since a test question collides with it."""
    summaries = {split: _summary(questions) for split, questions in splits.items()}
    return {"splits": summaries, "dropped": dropped, "removed": [asdict(removal) for removal in removed]}


def _summary(questions: list[Question]) -> dict[str, Any]:
    files = {question.audio.sha256: question.audio.duration_s for question in questions}
    return {
        "questions": len(questions),
        "groups": len({question.group for question in questions}),
        "audio_files": len(files),
        "audio_hours": round(sum(files.values()) / 3600, 4),
        "audio_sha256": sha256_json(sorted(files)),
        "by_source": _counts(question.source for question in questions),
        "by_sub_category": _counts(question.sub_category for question in questions),
        "by_modality": _counts(question.modality for question in questions),
        "by_choices": _counts(str(len(question.choices)) for question in questions),
    }


def _counts(values: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))


def write(splits: Splits, dropped: list[dict[str, str]], removed: list[Removal], folder: Path = QUESTIONS) -> None:
    """Write the splits, and the manifest last."""
    for split, questions in splits.items():
        write_jsonl(folder / f"{split}.jsonl", (to_dict(question) for question in questions))
    write_json(folder / "manifest.json", manifest(splits, dropped, removed))


@stage_main
def main() -> None:
    """Run the stage."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    data = load_params(Params, "data", "trial").data
    splits, dropped = gather(dict(data.sources), data.combine)
    splits, removed = decontaminated(splits, data.sources, data.decontaminate)
    check_disjoint(splits)
    write(splits, dropped, removed)
    if removed:
        print(removal_table(removed))
    for split in SPLITS:
        if ids := [row["id"] for row in dropped if row["what"] == "the question" and row["split"] == split]:
            named = f"{len(ids)} {split} questions are invalid, and dropped: {', '.join(ids)}"
            print(f"warning: {named}", file=sys.stderr)
    print(f"{QUESTIONS}: " + ", ".join(f"{split} {len(questions)}" for split, questions in splits.items()))


if __name__ == "__main__":
    main()
