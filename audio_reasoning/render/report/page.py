"""The page itself: a template filled with escaped text, and the files that stand beside it."""

import re
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.runs import Run
from audio_reasoning.metrics.inputs import Questions
from audio_reasoning.render.html import environment_of
from audio_reasoning.render.report.answers import RunAnswers
from audio_reasoning.render.report.sections import Section
from audio_reasoning.render.tables import profile_notes

ASSETS = Path(__file__).parent / "assets"
STYLES = ("report.css", "browser.css")
SCRIPTS = ("store.js", "dom.js", "filters.js", "list.js", "detail.js", "main.js")  # in the order of their needs
EXPORT = re.compile(r"export\{([^}]*)\};?")


@dataclass(frozen=True)
class Header:
    """What the page is about."""

    profile: str
    note: str  # what to keep in mind about the profile, or nothing
    facts: Sequence[tuple[str, str]]
    absent: Sequence[str]  # runs without answers


def header_of(profile: str, questions: Questions, runs: Sequence[RunAnswers], absent: Sequence[Run]) -> Header:
    """Profile, models and sizes."""
    clips = len({question.group for question in questions.values()})
    sub_categories = Counter(question.sub_category for question in questions.values())
    facts = [
        ("Questions", f"{len(questions):,}"),
        ("Clips", f"{clips:,}"),
        ("Sub-categories", str(len(sub_categories))),
        ("Runs", str(len(runs))),
        ("Model", ", ".join(dict.fromkeys(_model(answers) for answers in runs)) or "none yet"),
    ]
    return Header(profile, "; ".join(profile_notes(profile)), facts, [run.name for run in absent])


def _model(answers: RunAnswers) -> str:
    model = answers.manifest.get("model")
    if isinstance(model, dict):
        return str(model.get("id", "not recorded"))
    decoding = answers.manifest.get("decoding")
    named = decoding.get("endpoint_model") if isinstance(decoding, dict) else None
    return str(named or "not recorded")


def render(header: Header, sections: Sequence[Section]) -> str:
    """The page's HTML; everything that is not our own text is escaped."""
    template = environment_of(ASSETS).get_template("template.html")
    return template.render(header=header, sections=sections, scripts=SCRIPTS, styles=STYLES)


def write_assets(folder: Path) -> None:
    """Put the page's scripts and styles into `folder`: ours, and DataTables as the package itables bundles it."""
    for name in (*STYLES, *SCRIPTS):
        shutil.copyfile(ASSETS / name, folder / name)
    script, style = vendored()
    (folder / "datatables.js").write_text(script, encoding="utf-8")
    (folder / "datatables.css").write_text(style, encoding="utf-8")


def vendored() -> tuple[str, str]:
    """DataTables' script and style from the installed package itables, the script as a classic one.

    A page from a file cannot import modules, so the bundle's exports become `window.DataTable`. Raises UserError when
    the bundle is not the module that it was.
    """
    import itables

    bundle = Path(itables.__file__).parent / "html"
    script = (bundle / "dt_bundle.js").read_text(encoding="utf-8")
    exports = EXPORT.findall(script)
    default = re.search(r"(\w+) as default", exports[0]) if len(exports) == 1 else None
    if default is None:
        raise UserError(f"{bundle / 'dt_bundle.js'}: no default export; install the pinned itables (requirements/)")
    script = EXPORT.sub(lambda _: f"window.DataTable={default[1]};", script)
    return f'(()=>{{"use strict";\n{script}\n}})();\n', (bundle / "dt_bundle.css").read_text(encoding="utf-8")
