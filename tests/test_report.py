"""The report: what it is made of, and how it behaves in a real browser, opened from the file system."""

import hashlib
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import yaml

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import write_json
from audio_reasoning.core.records import Audio
from audio_reasoning.core.runs import Run
from audio_reasoning.render.report.page import vendored
from stages import report as build
from stages.layout import manifest_file, metrics_file
from stages.params import load_params
from stages.project import Project, load_project
from stages.screenshot import chromium
from tests.report_project import (
    BOTH,
    HOSTILE,
    LOST,
    NEITHER,
    ROOT,
    WON,
    question,
    response,
    write_comparison,
    write_params,
    write_questions,
    write_run,
)

BASELINE, EXPERT = Run("baseline"), Run("expert_analyst")
SAMPLED, VOTED = Run("baseline", condition="samples"), Run("baseline", condition="vote")


def write_project(folder: Path) -> None:
    """Two prompts and samples of one, over questions of which one is hostile throughout."""
    questions = [question(index) for index in range(12)]
    questions[3] = replace(
        questions[3],
        question=HOSTILE,
        choices=(HOSTILE, "b", "c", "d"),
        sub_category=HOSTILE,
        audio=Audio("no.flac", "", 2),
    )
    write_params(folder, ["baseline", "expert_analyst"], sampled=["baseline"])
    write_questions(folder, questions)
    baseline = [response(q, i < 7) for i, q in enumerate(questions)]
    baseline[3] = response(
        questions[3], thinking=HOSTILE, text=f"<think>{HOSTILE}</think>{HOSTILE}", extraction=HOSTILE
    )
    baseline[8] = response(
        questions[8], status="truncated", answer=None, text="<think>Wait, the bell", thinking="Wait, the bell"
    )
    baseline[9] = response(questions[9], status="error", answer=None, text="", thinking="", error="HTTP 500")
    write_run(folder, BASELINE, baseline)
    write_run(folder, EXPERT, [response(q, 4 <= i < 10, thinking="A zither plays.") for i, q in enumerate(questions)])
    sampled = [response(q, s < 2, s, thinking=f"Attempt {s}.") for q in questions for s in range(3)]
    write_run(folder, SAMPLED, sampled)


def run_stage(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["build"])
    build.main()


def fails(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as stopped:
        run_stage(folder, monkeypatch)
    assert stopped.value.code == 2
    return capsys.readouterr().err


@pytest.fixture
def project(tmp_path: Path) -> Path:
    write_project(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    write_project(folder)
    with pytest.MonkeyPatch.context() as monkeypatch:
        run_stage(folder, monkeypatch)
    return folder


@pytest.fixture(scope="module")
def browser():
    try:
        with chromium() as launched:
            yield launched
    except UserError as error:
        if os.environ.get("CI"):
            pytest.fail(f"the report's tests must run in CI: {error}")
        pytest.skip(str(error))


class Shown:
    """What a page shows by and by: a click's navigation, or a trace, may arrive after the browser has answered."""

    def __init__(self, read: Callable[[], Any]):
        self.read = read

    def settles(self, holds: Callable[[Any], bool]) -> bool:
        patience = time.monotonic() + 10
        while not (held := holds(self.read())) and time.monotonic() < patience:
            time.sleep(0.02)
        return held

    def __eq__(self, other: object) -> bool:
        return self.settles(lambda shown: shown == (other.read() if isinstance(other, Shown) else other))

    def __contains__(self, part: str) -> bool:
        return self.settles(lambda shown: part in shown)

    def __repr__(self) -> str:
        return repr(self.read())


class Opened:
    """A page, and everything that it should not do."""

    def __init__(self, browser, folder: Path, link: str = "", **window):
        self.page = browser.new_page(**window)
        self.wrong: list[str] = []
        self.page.on("console", lambda m: self.wrong.append(m.text) if m.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("dialog", lambda dialog: self.wrong.append(dialog.message))
        self.page.on("request", lambda request: self.network(request.url))
        self.page.goto((folder / "reports/index.html").as_uri() + link)

    def network(self, url: str) -> None:
        if not url.startswith(("file:", "data:")):
            self.wrong.append(f"asked the network for {url}")

    def text(self, selector: str) -> Shown:
        return Shown(self.page.locator(selector).inner_text)

    def asked(self) -> Shown:
        return self.text("#detail h2")

    def counts(self) -> Shown:
        return Shown(self.page.locator(".flips output").all_inner_texts)

    def listed(self) -> Shown:
        picks = self.page.locator("#questions .pick")
        return Shown(lambda: picks.evaluate_all("nodes => nodes.map(node => node.dataset.id)"))

    def parameter(self, name: str) -> Shown:
        get = f"new URLSearchParams(location.hash.slice(1)).get({json.dumps(name)})"
        return Shown(lambda: self.page.evaluate(get))


@pytest.fixture
def open_page(browser, built):
    opened: list[Opened] = []

    def opener(link: str = "", folder: Path = built, **window) -> Opened:
        opened.append(Opened(browser, folder, link, **window))
        return opened[-1]

    yield opener
    for page in opened:
        page.page.close()
        assert not page.wrong


COMPARED = "#a=baseline&b=expert_analyst"


class TestBrowser:
    def test_flips_are_counted_and_filter(self, open_page):
        opened = open_page(COMPARED)
        assert opened.counts() == [str(n) for n in (12, WON, LOST, BOTH, NEITHER)]
        opened.page.click("text=Won")
        assert opened.listed() == ["q0007", "q0008", "q0009"]
        opened.page.click("text=Lost")
        assert opened.listed() == ["q0000", "q0001", "q0002", "q0003"]
        assert opened.text("#found") == "4 questions"

    def test_filters_narrow_the_list_and_the_counts(self, open_page):
        opened = open_page(COMPARED)
        opened.page.select_option("#filter-sub_category", "Music Theory")
        assert opened.listed() == ["q0001", "q0004", "q0007", "q0010"]
        assert opened.counts() == ["4", "1", "1", "1", "1"]
        opened.page.select_option("#filter-modality", "speech")
        assert opened.counts() == ["0"] * 5
        assert "No question passes" in opened.text("#questions")
        opened.page.click("text=Clear filters")
        opened.page.select_option("#filter-category", "Cultural Layer")
        assert opened.listed() == ["q0002", "q0005", "q0008", "q0011"]

    def test_status_is_a_filter(self, open_page):
        opened = open_page(COMPARED)
        opened.page.select_option("#filter-status", "truncated")
        assert opened.listed() == ["q0008"]
        assert "cut off" in opened.text(".side >> nth=0")
        opened.page.select_option("#filter-status", "error")
        assert "HTTP 500" in opened.text(".side >> nth=0")

    def test_search_finds_questions_and_traces(self, open_page):
        opened = open_page(COMPARED)
        opened.page.fill("#filter-text", "CLIP 11")
        assert opened.listed() == ["q0011"]
        opened.page.wait_for_selector(".trace >> nth=3")
        opened.page.fill("#filter-text", "wait bell zither")
        assert opened.listed() == ["q0008"]

    def test_shows_both_traces_and_where_they_come_from(self, open_page):
        opened = open_page(f"{COMPARED}&q=q0004")
        opened.page.wait_for_selector(".trace >> nth=3")
        assert opened.page.locator(".trace").all_inner_texts() == [
            "It rings.",
            "ANSWER: a bell",
            "A zither plays.",
            "ANSWER: a bell",
        ]
        facts = opened.text(".side >> nth=1 >> .facts")
        for told in ("answered", "a bell", "verbatim", "stop", "50, 1,234", "15 characters"):
            assert told in facts
        opened.page.click(".side >> nth=1 >> summary >> nth=0")
        assert "expert_analyst v3 · 0123456789ab" in opened.text(".side >> nth=1 >> .origin")
        assert "temperature 0.1, max_tokens 64" in opened.text(".side >> nth=1 >> .origin")
        assert "mini-thinker" in opened.text(".side >> nth=1 >> .origin")

    def test_marks_the_right_choice_and_the_chosen_ones(self, open_page):
        opened = open_page(f"{COMPARED}&q=q0000")
        assert opened.page.locator(".choices li").all_inner_texts()[0].split("\n") == [
            "a bell",
            "right answer",
            "run A",
        ]
        assert opened.page.locator(".choices li").all_inner_texts()[1].split("\n") == ["rain", "run B"]

    def test_a_link_restores_the_view(self, open_page):
        opened = open_page("#q=q0008&a=expert_analyst&b=baseline&flip=lost&sub_category=Imagination&text=heard")
        assert opened.asked() == "What is heard in clip 8?"
        assert opened.page.input_value("#filter-a") == "expert_analyst"
        assert opened.page.input_value("#filter-sub_category") == "Imagination"
        assert opened.listed() == ["q0008"]
        again = open_page(opened.page.evaluate("location.hash"))
        assert again.asked() == opened.asked() and again.listed() == opened.listed()

    @pytest.mark.parametrize(
        ("link", "named"),
        [
            ("#q=gone", "the question gone"),
            ("#a=other", "the run other"),
            ("#a=baseline&modality=smell", "“smell” (modality)"),
        ],
    )
    def test_a_link_to_what_is_not_here_says_so(self, open_page, link, named):
        opened = open_page(link)
        assert f"The link names {named}" in opened.text("#notice")
        assert opened.asked().read()

    def test_keys_go_to_the_next_and_previous_question(self, open_page):
        opened = open_page(f"{COMPARED}&flip=won")
        opened.page.keyboard.press("j")
        opened.page.keyboard.press("j")
        opened.page.keyboard.press("j")
        assert opened.asked() == "What is heard in clip 9?"
        assert opened.text(".place") == "3 of 3"
        opened.page.keyboard.press("k")
        assert opened.parameter("q") == "q0008"
        opened.page.keyboard.press("/")
        opened.page.keyboard.type("jk")
        assert opened.page.input_value("#filter-text") == "jk"

    def test_copies_a_link_to_what_is_shown(self, open_page):
        opened = open_page(f"{COMPARED}&q=q0005")
        opened.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        opened.page.click("#copy")
        opened.page.wait_for_selector("text=Copied")
        assert opened.page.evaluate("navigator.clipboard.readText()") == opened.page.url
        assert "q=q0005" in opened.page.url

    def test_several_samples_show_their_share_and_can_be_turned(self, open_page):
        opened = open_page("#a=baseline&b=baseline@samples&q=q0008")
        assert opened.text("#questions tr:has([data-id=q0008]) .mark >> nth=1") == "2/3"
        assert "flip=" not in opened.page.url
        assert opened.counts() == ["12", "5", "7", "0", "0"]  # 2 of 3 is less than all and more than nothing
        opened.page.wait_for_selector("text=Attempt 0.")
        opened.page.click(".samples button >> nth=2")
        assert "Attempt 2." in opened.text(".side >> nth=1")
        assert opened.parameter("sb") == "2"
        again = open_page(opened.page.evaluate("location.hash"))
        again.page.wait_for_selector("text=Attempt 2.")

    def test_hostile_text_is_shown_and_does_nothing(self, open_page):
        opened = open_page(f"{COMPARED}&q=q0003")
        opened.page.wait_for_selector(".trace >> nth=3")
        assert opened.page.locator(".trace >> nth=0").text_content() == HOSTILE
        assert opened.page.locator(".trace >> nth=1").text_content() == HOSTILE
        assert opened.page.locator("#detail h2").text_content() == HOSTILE
        assert opened.page.locator(".choices .text >> nth=0").text_content() == HOSTILE
        assert opened.page.locator("#questions [data-id=q0003] .asked").text_content() == HOSTILE
        opened.page.select_option("#filter-sub_category", HOSTILE)
        assert opened.listed() == ["q0003"]
        assert opened.page.evaluate("window.pwned") is None

    def test_the_page_runs_no_script_from_within(self, open_page):
        opened = open_page()
        insert = "s = document.createElement('script'); s.textContent = 'window.pwned = 3'; document.body.append(s)"
        with opened.page.expect_console_message(lambda message: "Content Security Policy" in message.text):
            opened.page.evaluate(f"() => {{ let {insert}; }}")
        assert opened.page.evaluate("window.pwned") is None
        assert "Content Security Policy" in opened.wrong.pop()

    def test_a_link_with_a_word_of_a_trace_alone_restores_its_question(self, open_page, built, tmp_path):
        shutil.copytree(built / "reports", tmp_path / "reports")
        traces = tmp_path / "reports/report_files/traces/expert_analyst.js"
        traces.write_text(f"window.arrive = () => {{ {traces.read_text()} }};")  # later, as from a slow disk
        opened = open_page(f"{COMPARED}&text=zither&q=q0005", folder=tmp_path)
        opened.page.wait_for_selector(".trace")
        assert opened.listed() == []
        assert opened.asked() == "What is heard in clip 5?" and opened.parameter("q") == "q0005"
        opened.page.evaluate("window.arrive()")
        opened.page.wait_for_selector("#questions .pick >> nth=11")
        assert opened.asked() == "What is heard in clip 5?" and opened.parameter("q") == "q0005"
        assert opened.text(".place") == "6 of 12"
        assert opened.page.locator("#notice").is_hidden()

    @pytest.mark.parametrize("filters", ["flip=won", "text=bell+wait"])
    def test_a_question_outside_its_links_filters_is_told(self, open_page, filters):
        opened = open_page(f"{COMPARED}&{filters}&q=q0005")
        opened.page.wait_for_selector("#notice:visible")
        assert opened.text("#notice") == "The question q0005 does not pass this link’s filters."
        assert opened.asked() == opened.text("#questions .pick >> nth=0 >> .asked")

    def test_a_missing_clip_is_told(self, open_page):
        opened = open_page(f"{COMPARED}&q=q0003")
        assert opened.page.locator(".clip .absent").is_hidden()
        opened.page.evaluate("document.querySelector('audio').play().catch(() => {})")
        opened.page.wait_for_selector(".clip .absent:visible")
        assert "../data/audio/no.flac cannot be played" in opened.text(".clip .absent")
        opened.wrong = [told for told in opened.wrong if "ERR_FILE_NOT_FOUND" not in told]

    def test_a_clip_is_played_from_where_it_lies(self, open_page, built):
        clip = built / "data/audio/mini/q0005.flac"
        clip.parent.mkdir(parents=True)
        soundfile.write(clip, np.zeros(8_000, dtype=np.float32), 16_000)
        opened = open_page(f"{COMPARED}&q=q0005")
        play = "const a = document.querySelector('audio'); a.muted = true; await a.play(); return a.duration;"
        assert opened.page.evaluate(f"(async () => {{ {play} }})()") == pytest.approx(0.5)

    def test_missing_traces_are_told(self, open_page, built, tmp_path):
        shutil.copytree(built / "reports", tmp_path / "reports")
        (tmp_path / "reports/report_files/traces/baseline.js").unlink()
        opened = open_page(COMPARED, folder=tmp_path)
        opened.page.wait_for_selector("text=traces/baseline.js is missing")
        opened.page.wait_for_selector("text=A zither plays.")
        opened.wrong = [told for told in opened.wrong if "ERR_FILE_NOT_FOUND" not in told]

    def test_another_sample_of_missing_traces_is_told_too(self, open_page, built, tmp_path):
        shutil.copytree(built / "reports", tmp_path / "reports")
        (tmp_path / "reports/report_files/traces/baseline@samples.js").unlink()
        opened = open_page("#a=baseline&b=baseline@samples&q=q0008", folder=tmp_path)
        opened.page.wait_for_selector("text=baseline%40samples.js is missing")
        opened.page.click(".samples button >> nth=2")
        assert "baseline%40samples.js is missing" in opened.text(".side >> nth=1")
        opened.page.wait_for_selector(".waiting", state="detached")
        opened.wrong = [told for told in opened.wrong if "ERR_FILE_NOT_FOUND" not in told]

    @pytest.mark.parametrize("width", [420, 1280])
    @pytest.mark.parametrize("link", ["", COMPARED])
    def test_fits_the_window(self, open_page, width, link):
        opened = open_page(link, viewport={"width": width, "height": 800})
        assert opened.page.evaluate("document.documentElement.scrollWidth") <= width


class TestOverview:
    def test_says_what_is_absent_and_how_to_make_it(self, open_page):
        opened = open_page()
        absent = opened.page.locator("#overview .absent").all_inner_texts()
        assert any("dvc repro compare" in told for told in absent)
        assert any("baseline@vote" in told for told in absent)
        assert opened.page.locator("#browser").is_hidden()

    def test_begins_with_an_answer_to_each_question(self, open_page, project, monkeypatch):
        write_comparison(project)
        run_stage(project, monkeypatch)
        opened = open_page(folder=project)
        told = dict(
            zip(*(opened.page.locator(f".answers {tag}").all_inner_texts() for tag in ("dt", "dd")), strict=True)
        )
        assert told["Which prompt is better?"].startswith("Of 1 prompt tested against baseline, none is better")
        assert told["Was it the audio?"].startswith("Not here: no control arms")
        opened.page.click(".answers a >> nth=0")
        assert opened.page.evaluate("location.hash") == "#section-key-results"

    @pytest.mark.parametrize("width", [420, 1280])
    def test_captions_are_read_without_scrolling_their_tables(self, open_page, project, monkeypatch, width):
        write_comparison(project)
        run_stage(project, monkeypatch)
        opened = open_page(folder=project, viewport={"width": width, "height": 800})
        ends = "nodes => nodes.map(node => node.getBoundingClientRect().right)"
        found = opened.page.locator("#section-prompts caption .told").evaluate_all(ends)
        assert found and max(found) <= width

    def test_says_that_mini_is_about_mechanics(self, open_page):
        assert "not about any 30B model" in open_page().text(".banner >> nth=0")

    def test_shows_the_committed_metrics(self, open_page, tmp_path, monkeypatch):
        shutil.copytree(ROOT / "metrics", tmp_path / "metrics")
        shutil.copy(ROOT / "params.yaml", tmp_path)
        write_questions(tmp_path, [question(0)])
        run_stage(tmp_path, monkeypatch)
        opened = open_page(folder=tmp_path)
        rows = opened.page.locator("#section-prompts > .tables tbody tr").all_inner_texts()
        params = load_project(ROOT / "params.yaml")
        assert len(rows) == len(params.prompts.variants) + len(params.optimize) and "the reference" in rows[0]
        assert all(re.search("better|worse|not distinguishable", row) for row in rows[1:])
        figures = opened.page.locator("svg.figure")
        assert figures.count() >= 3
        assert all(figures.nth(i).get_attribute("aria-label") for i in range(figures.count()))
        opened.page.click("#section-prompts tbody tr >> nth=1 >> a >> nth=1")
        assert "No run has answers yet" in opened.text("#notice")

    def test_counts_of_won_and_lost_lead_to_those_questions(self, open_page, project, monkeypatch):
        write_comparison(project)
        run_stage(project, monkeypatch)
        opened = open_page(folder=project)
        for column, count, flip in ((5, WON, "won"), (6, LOST, "lost")):
            opened.page.goto(opened.page.url.partition("#")[0])
            cell = opened.page.locator(f"#section-prompts tbody tr >> nth=1 >> td >> nth={column}")
            assert cell.inner_text() == str(count)
            cell.locator("a").click()
            assert opened.text("#found") == f"{count} questions"
            assert opened.parameter("flip") == flip

    def test_names_in_figures_and_tables_do_nothing(self, open_page, project, monkeypatch):
        write_comparison(project)
        run_stage(project, monkeypatch)
        opened = open_page(folder=project)
        assert HOSTILE[:30] in opened.page.locator("#section-sub-categories svg").text_content()
        opened.page.click("#section-sub-categories summary")
        assert HOSTILE in opened.page.locator("#section-sub-categories details").text_content()
        assert opened.page.evaluate("window.pwned") is None


def covers(deps: list[str], path: Path) -> bool:
    return any(Path(dep) in (path, *path.parents) for dep in deps)


class TestStage:
    def test_depends_on_every_metrics_file_that_it_reads_and_on_no_submission(self, monkeypatch):
        monkeypatch.chdir(ROOT)
        stages = yaml.safe_load(Path("dvc.yaml").read_text())["stages"]
        deps = stages["report"]["deps"]
        params = load_params(Project, *stages["report"]["params"])
        shown = [Path(file) for section in build.sections(params) for file in section.files]
        read = [path for path in shown if path.parts[0] == "metrics"] + list(map(metrics_file, params.runs()))
        assert [path for path in read if not covers(deps, path)] == []
        assert not covers(deps, Path("metrics/submission.json"))

    def test_depends_on_folders_that_exist_without_any_run(self):
        stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
        folders = [Path(dep) for dep in stages["report"]["deps"] if dep.startswith("metrics/") and "." not in dep]
        always = {Path("metrics/scores")}  # prompts.variants is never empty
        assert [path for path in folders if path not in always and not (ROOT / path / ".gitkeep").is_file()] == []

    def test_same_input_same_bytes(self, built, project, monkeypatch):
        def digest(folder):
            files = sorted(path for path in (folder / "reports").rglob("*") if path.is_file())
            return [(str(p.relative_to(folder)), hashlib.sha256(p.read_bytes()).hexdigest()) for p in files]

        run_stage(project, monkeypatch)
        first = digest(project)
        run_stage(project, monkeypatch)
        assert digest(project) == first == digest(built)

    def test_names_runs_without_answers(self, project, monkeypatch, capsys):
        run_stage(project, monkeypatch)
        assert (
            "baseline@vote has no answers yet: data/votes/base/baseline@vote.jsonl is not there"
            in capsys.readouterr().out
        )

    def test_refuses_answers_to_other_questions(self, project, monkeypatch, capsys):
        write_run(project, EXPERT, [response(question(99))])
        assert "no question has the id 'q0099'" in fails(project, monkeypatch, capsys)

    def test_refuses_a_run_that_does_not_say_what_made_it(self, project, monkeypatch, capsys):
        write_json(project / manifest_file(EXPERT), {"prompt": {"name": "expert_analyst"}})
        assert f"{manifest_file(EXPERT)}: needs prompt.text_hash" in fails(project, monkeypatch, capsys)

    def test_refuses_metrics_that_the_answers_contradict(self, project, monkeypatch, capsys):
        write_json(project / "metrics/scores/base/baseline.json", {"acc_strict": 0.9})
        assert "gives acc_strict 0.9, but data/answers/base/baseline.jsonl gives 0.5833" in fails(
            project, monkeypatch, capsys
        )

    @pytest.mark.parametrize(
        ("file", "value", "told"),
        [
            ("summary.json", {"versus_baseline": []}, 'metrics/compare.json: [0].acc must be a number, found "0.5"'),
            ("summary.json", {"profile": "mini"}, "metrics/summary.json: best is missing"),
            (
                "training/pass_rates.json",
                [{"model": "iter1"}],
                "metrics/training/pass_rates.json: [0].profile is missing",
            ),
            ("arms.json", {"comparisons": 3}, "metrics/arms.json: comparisons must be a list, found 3"),
            ("votes/base/baseline.json", {"curve": []}, "baseline.json: curve must be a list of 1 or more, found []"),
            ("errors.json", {"runs": [{}]}, "metrics/errors.json: questions is missing"),
            ("judge.json", {"runs": [{"run": 1}], "comparisons": []}, "metrics/judge.json: runs[0].run must be a text"),
        ],
    )
    def test_refuses_metrics_of_another_shape(self, project, monkeypatch, capsys, file, value, told):
        write_comparison(project)
        if "acc" in told:
            value = json.loads((project / "metrics/summary.json").read_text())
            row = {"variant": "baseline", "by": "all", "name": "all", "n": 3, "acc": "0.5"}
            write_json(project / "metrics/compare.json", [row])
        write_json(project / "metrics" / file, value)
        assert told in fails(project, monkeypatch, capsys)

    def test_the_bundled_library_is_a_classic_script_without_addresses_to_load(self):
        script, style = vendored()
        assert "window.DataTable=" in script and "export{" not in script
        assert not re.search(r"url\((?!data:)", style)
