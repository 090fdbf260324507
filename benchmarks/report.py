"""Measure the report at full size and write benchmarks/report.json.

    make bench-report

Builds the report of 1,000 questions under 12 prompts, with traces of about 1,600 characters (the mean of published
traces of a 30B model on MMAR), and opens it in Chromium:

| figure       | what is measured                                                                              |
|--------------|-----------------------------------------------------------------------------------------------|
| build_s      | `python -m stages.report`, its start included, with all figures but those of votes      |
| megabytes    | reports/index.html and reports/report_files/                                                  |
| open_s       | from asking for a link into the browser of questions until its list is there; median of five  |
| traces_s     | the same until the traces of both runs are there                                              |
| filter_ms    | from a choice in a filter until the next picture; median over all sub-categories, twice       |
| next_ms      | the same for the next question; median of fifty                                               |
| search_ms    | the same for a word searched for in all texts and traces of two runs; median of five          |

What `score`, `compare` and `errors` say of these runs is written first, and the repository's metrics of control arms
and of self-training lie beside it.
"""

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from audio_reasoning.core.files import write_json
from stages.layout import REPORT_FILES, REPORT_PAGE
from stages.screenshot import chromium
from tests.report_project import ROOT, write_large

RESULTS = Path("benchmarks/report.json")
QUESTIONS, RUNS, WORDS = 1_000, 12, 270
LINK = "#a=prompt_a&b=prompt_b"
# Does something, and resolves with the milliseconds until the browser has drawn what comes of it.
TIMED = """(action) => new Promise((resolve) => {
  const started = performance.now();
  (new Function(action))();
  requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - started)));
})"""
CHOOSE = """const s = document.getElementById('filter-sub_category');
s.selectedIndex = (s.selectedIndex + 1) % s.options.length; s.dispatchEvent(new Event('change'));"""
SEARCH = "const i = document.getElementById('filter-text'); i.value = '{word}'; i.dispatchEvent(new Event('input'));"


def run(folder: Path, module: str, *arguments: str) -> float:
    """Run a stage in `folder`; the seconds that it took."""
    started = time.monotonic()
    command = [sys.executable, "-m", module, *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(command, cwd=folder, check=True, capture_output=True, env=environment)
    return time.monotonic() - started


def write_metrics(folder: Path, variants: list[str]) -> None:
    """What the overview shows of the runs in `folder`, and the repository's own arms and self-training."""
    for variant in variants:
        run(folder, "stages.score", variant)
    run(folder, "stages.compare")
    run(folder, "stages.errors")
    shutil.copy(ROOT / "metrics/arms.json", folder / "metrics")
    shutil.copytree(ROOT / "metrics/training", folder / "metrics/training")


def build(folder: Path) -> dict[str, Any]:
    """Build the report in `folder`: seconds and megabytes."""
    seconds = run(folder, "stages.report")
    files = [folder / REPORT_PAGE, *(path for path in (folder / REPORT_FILES).rglob("*") if path.is_file())]
    return {"build_s": round(seconds, 1), "megabytes": round(sum(path.stat().st_size for path in files) / 1e6, 1)}


def use(folder: Path) -> dict[str, Any]:
    """Open the report in Chromium and use it: seconds to open, milliseconds to respond."""
    address = (folder / REPORT_PAGE).as_uri() + LINK
    opened, traces = [], []
    with chromium() as browser:
        for _ in range(5):
            page = browser.new_page(bypass_csp=True)  # our own measuring is a script from elsewhere
            started = time.monotonic()
            page.goto(address)
            page.wait_for_selector("#questions .pick")
            opened.append(time.monotonic() - started)
            page.wait_for_selector(".trace >> nth=3")
            traces.append(time.monotonic() - started)
        choices = page.locator("#filter-sub_category option").count()
        filtered = [page.evaluate(TIMED, CHOOSE) for _ in range(2 * choices)]
        stepped = [page.evaluate(TIMED, "document.getElementById('next').click()") for _ in range(50)]
        searched = [page.evaluate(TIMED, SEARCH.format(word=word)) for word in ("an", "bell", "clip 99", "zzz", "")]
    return {
        "open_s": round(median(opened), 2),
        "traces_s": round(median(traces), 2),
        "filter_ms": round(median(filtered)),
        "next_ms": round(median(stepped)),
        "search_ms": round(median(searched)),
    }


def main() -> None:
    """Measure everything and write the results."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_metrics(Path(folder), write_large(Path(folder), QUESTIONS, RUNS, WORDS))
        results = {"questions": QUESTIONS, "runs": RUNS, **build(Path(folder)), **use(Path(folder))}
    results |= {"python": platform.python_version(), "cpus": os.cpu_count()}
    write_json(RESULTS, results)
    print("\n".join(f"{name}: {value}" for name, value in results.items()))


if __name__ == "__main__":
    main()
