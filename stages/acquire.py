"""Stage `acquire`: bring one source of questions, with its audio, into the pipeline's own form.

Writes `data/audio/<name>/` (16 kHz mono FLAC) and, in `data/sources/<name>/`, the questions file last:

    questions.jsonl     MMAR's schema, `audio_path` relative to `data/audio`
    dropped.jsonl       invalid questions, and those about audio that cannot be used, where `invalid` is "drop"
    left_out.jsonl      what a rule of the source does not ask about, such as a visual question
    annotations.jsonl   what a source tells of answers, such as MMAR's rubrics: read by the judge of traces alone
    provenance.json     how many questions are of which licence, revision and making; what is missing, by the reason

    python -m stages.acquire --source mini
    python -m stages.acquire --source mine --fingerprint           # the sha256 of questions on this machine
    python -m stages.acquire --source mine --fingerprint --write   # put it into conf/profile/ and params.yaml
"""

import argparse
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from audio_reasoning.core.errors import UserError, stage_main
from audio_reasoning.core.files import atomic_dir, read_jsonl, read_text, write_json, write_jsonl
from audio_reasoning.core.parse import parse_yaml
from audio_reasoning.core.plugins import load_part
from audio_reasoning.core.typed import Strict
from audio_reasoning.tasks import files as from_files
from audio_reasoning.tasks import hub as from_hub
from audio_reasoning.tasks.kept import keeping
from audio_reasoning.tasks.params import Data, FilesSource
from audio_reasoning.tasks.pin import write_text_value
from audio_reasoning.tasks.provenance import UNKNOWN, provenance, summary
from audio_reasoning.tasks.published import BY_RULE
from stages.layout import AUDIO, SOURCES, cache_dir, repository
from stages.params import PARAMS, load_params

CONF = Path("conf")
# (parameters of the source, folder for its FLAC files, list to append what is dropped to)
# -> rows in MMAR's schema, `audio_path` inside that folder.
Loader = Callable[[Any, Path, list[dict[str, str]]], Iterable[dict[str, Any]]]
LOADERS = {
    "mini": "audio_reasoning.tasks.mini.source:load",
    "files": "audio_reasoning.tasks.files:load",
    "hub": "audio_reasoning.tasks.hub:load",
    "mmar": "audio_reasoning.tasks.mmar:load",
    "mmau": "audio_reasoning.tasks.mmau:load",
    "audiomcq": "audio_reasoning.tasks.audiomcq:load",
    "avqa": "audio_reasoning.tasks.avqa:load",
    "musicbench": "audio_reasoning.tasks.musicbench:load",
    "tacos": "audio_reasoning.tasks.tacos:load",
    "countingqa": "audio_reasoning.tasks.countingqa:load",
    "reasonaqa": "audio_reasoning.tasks.reasonaqa:load",
    "youtube": "audio_reasoning.tasks.youtube:load",
}
PATHS = {  # parameters that name files here
    "files": ("questions", "audio"),
    "hub": ("questions_file",),
    "mmar": ("questions_file", "audio"),
    "avqa": ("questions", "audio"),
    "countingqa": ("audio",),
    "reasonaqa": ("audio",),
    "youtube": ("questions", "videos"),
}


class Params(Strict):
    """What the stage reads."""

    data: Data
    trial: bool = False


def acquire(name: str, source: Any) -> int:
    """Load the source called `name`; return its number of questions. The questions file is written last."""
    noted: list[dict[str, str]] = []
    with atomic_dir(AUDIO / name) as folder, keeping(cache_dir() / "transcoded"):
        load: Loader = load_part(source.loader, LOADERS, f"data.sources.{name}.loader")
        rows = [{**row, "audio_path": f"{name}/{row['audio_path']}"} for row in load(source, folder, noted)]
    license = getattr(source, "license", None)  # of sources whose questions do not tell it themselves
    if license is not None:
        rows = [{"provenance": provenance(license, "", "as given"), **row} for row in rows]
    annotations = [{"id": row["id"], **apart} for row in rows if (apart := row.pop("annotations", None))]
    by_rule = [{"id": entry["id"], "why": entry["why"]} for entry in noted if entry.get("left out") == BY_RULE]
    dropped = [entry for entry in noted if entry.get("left out") != BY_RULE]
    summed = summary(rows, dropped, by_rule)
    if UNKNOWN in summed["licenses"]:
        what = f"{summed['licenses'][UNKNOWN]} questions of data.sources.{name} have no known licence"
        print(f"warning: {what}; who may use what is made of them stays open", file=sys.stderr)
    write_jsonl(SOURCES / name / "dropped.jsonl", dropped)
    write_jsonl(SOURCES / name / "left_out.jsonl", by_rule)
    write_jsonl(SOURCES / name / "annotations.jsonl", annotations)
    write_json(SOURCES / name / "provenance.json", summed)
    write_jsonl(SOURCES / name / "questions.jsonl", rows)
    return len(rows)


def fingerprint(name: str, source: Any) -> tuple[str, str]:
    """The key that pins a source, and the value that its files give it; UserError for a source without such files."""
    if isinstance(source, FilesSource):
        return "sha256", from_files.fingerprint(source)
    if hasattr(source, "questions_sha256"):
        return "questions_sha256", from_hub.fingerprint(source)
    raise UserError(f"--fingerprint: {name} is a source of loader {source.loader}; only files have one")


def pin(name: str, key: str, value: str) -> None:
    """Set a source's fingerprint in params.yaml, and in the profile that declares the source."""
    keys = ("data", "sources", name, key)
    declared = CONF / "profile" / f"{parse_yaml(read_text(PARAMS), str(PARAMS))['profile']}.yaml"
    if not write_text_value(declared, keys, value):
        why = "composing params.yaml anew loses the value: set it where the source is declared"
        print(f"warning: {declared} does not declare data.sources.{name}; {why}", file=sys.stderr)
    if not write_text_value(PARAMS, keys, value):
        raise UserError(f"{PARAMS} lacks data.sources.{name}; `audio-reasoning compose --write` composes it")


def located(source: Any) -> Any:
    """The source with paths that lead there from this folder, which may be an experiment's temporary one.

    Relative paths start at the repository; files that Git does not track are nowhere else.
    """
    root = repository()
    keys = [key for key in PATHS.get(source.loader, ()) if getattr(source, key)]
    if root == Path.cwd().resolve():
        return source
    return source.model_copy(update={key: str(root / getattr(source, key)) for key in keys})


@stage_main
def main() -> None:
    """Run the stage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", required=True, help="a name under data.sources in params.yaml")
    parser.add_argument("--fingerprint", action="store_true", help="print the sha256 that pins a files source")
    parser.add_argument("--write", action="store_true", help="set it where the source is declared")
    args = parser.parse_args()
    if args.write and not args.fingerprint:
        parser.error("--write goes with --fingerprint")
    name = args.source
    sources = load_params(Params, f"data.sources.{name}", "trial").data.sources
    if name not in sources:
        raise UserError(f"--source {name}: give the name of a source, one of {', '.join(sources)}")
    source = located(sources[name])
    if args.fingerprint:
        key, value = fingerprint(name, source)
        if args.write:
            pin(name, key, value)
        print(value)
        return
    count = acquire(name, source)
    left_out = sum(1 for _ in read_jsonl(SOURCES / name / "dropped.jsonl"))
    more = f"; {left_out} left out, and why: {SOURCES / name / 'dropped.jsonl'}" if left_out else ""
    print(f"{SOURCES / name}: {count} questions{more}")


if __name__ == "__main__":
    main()
