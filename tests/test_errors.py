"""Error analysis: counts, loops, breakdowns and the page, on any text a model may write."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from audio_reasoning.core.files import sha256_file, write_jsonl
from audio_reasoning.core.records import Audio, Question, Response, to_dict
from audio_reasoning.core.shown import code_span, plain_text, printable, shortened
from audio_reasoning.metrics.errors.analysis import analyse, analysis_of
from audio_reasoning.metrics.errors.counts import Counted, confusion, numbers_of, summary
from audio_reasoning.metrics.errors.loops import most_repeated, second_thoughts, words_of
from audio_reasoning.metrics.errors.params import Errors
from audio_reasoning.metrics.errors.results import Loop
from audio_reasoning.metrics.inputs import Sample
from audio_reasoning.metrics.results import to_json
from audio_reasoning.metrics.stats import wilson
from audio_reasoning.prompts.registry import load_prompt
from audio_reasoning.render.errors_markdown import markdown, overview
from audio_reasoning.tasks.audio import write_flac
from stages import errors
from tests.commands import command
from tests.fake_openai import FakeOpenAI, answer
from tests.mmar import METADATA, needs_metadata

ROOT = Path(__file__).parents[1]
PARAMS = Errors(loop_ngram=3, loop_repeats=3)
COUNTS = ("two", "three", "four", "five")
TEXT = st.text(st.characters())  # lone surrogates and control characters too


def question(i, **more):
    sub_category = ("Counting and Statistics", "Music Theory")[i % 2]
    values = {
        "id": f"q{i}",
        "audio": Audio(f"mini/q{i}.flac", "0" * 64, 1.5 if i % 2 else 12.0),
        "question": "How many?",
        "choices": COUNTS,
        "answer": i % 4,
        "category": "Semantic Layer",
        "sub_category": sub_category,
        "modality": "sound",
        "language": "en" if i % 2 else None,
        "source": "mini",
        "group": f"q{i}",
        **more,
    }
    return Question(**values)


def response(name, answer, status="ok", thinking="I hear it.", index=0, rule="verbatim", **more):
    text = more.pop("text", f"<think>{thinking}</think>\nANSWER: a bird")
    return Response(name, index, status, text, thinking, answer, rule, "stop", 50, 10, **more)


def sample(r, submitted="a bird"):
    return Sample(r, submitted)


def asked(*questions):
    return {q.id: q for q in questions}


def samples_of(*responses):
    found = {}
    for r in responses:
        found.setdefault(r.question_id, []).append(sample(r))
    return found


def rows_of(analysis, by):
    return {row.name: row for row in analysis.of(by)}


def rendered(page):
    """The page as HTML, raw HTML passed on: what a model wrote must not become any."""
    return MarkdownIt("commonmark", {"html": True}).enable("table").render(page)


# ── Counts ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("choices", "numbers"),
    [
        (["2", "4", "5", "3"], (2, 4, 5, 3)),
        (["One", "Two", "None"], (1, 2, 0)),
        (["1 time", "4 times", "Twice"], (1, 4, 2)),
        (["Ten claps", "no claps"], (10, 0)),
        (["3 sentences.", "**2** sentences"], (3, 2)),
        (["３", "2"], (3, 2)),
        (["20", "21"], None),
        (["35 to 45", "5 to 10"], None),
        (["3 birds", "2 dogs"], None),
        (["2.5", "3.5"], None),
        (["-2", "2"], None),
        (["²", "3"], None),
        (["Yes", "No"], None),
        (["two", "2"], None),
        (["", "3"], None),
        (["9" * 5_000, "3"], None),
    ],
)
def test_choices_are_counts_if_they_are_numbers_of_one_thing(choices, numbers):
    assert numbers_of(choices) == numbers


@given(st.lists(TEXT, min_size=1, max_size=6))
def test_any_choices_are_different_small_numbers_or_none(choices):
    numbers = numbers_of(choices)
    assert numbers is None or (len(set(numbers)) == len(choices) and all(0 <= n <= 20 for n in numbers))


@needs_metadata
def test_most_of_mmars_counting_questions_are_recognised():
    rows = [json.loads(text) for text in METADATA.read_text(encoding="utf-8").splitlines()]
    found = [row["sub-category"] for row in rows if numbers_of(row["choices"])]
    assert found.count("Counting and Statistics") >= 60


def test_counting_errors_are_signed_and_divide_by_all_answers():
    told = summary([Counted(2, 3), Counted(2, 2), Counted(4, 2), Counted(4, None)])
    assert told.model_dump(exclude={"confusion"}) == {
        "n": 4,
        "accuracy": 0.25,
        "valid": 3,
        "mean_error": -0.3333,
        "too_few": 0.25,
        "too_many": 0.25,
        "wrong": 3,
        "off_by_one": 0.3333,
    }


def test_no_counts_at_all_are_no_crash():
    assert summary([]).accuracy is None and confusion([]) == []
    assert summary([Counted(2, 2)]).off_by_one is None
    assert summary([Counted(2, None)]).mean_error is None


@given(st.lists(st.tuples(st.integers(0, 20), st.none() | st.integers(0, 20)).map(lambda pair: Counted(*pair))))
def test_the_confusion_counts_every_answer_once(answers):
    table = confusion(answers)
    assert sum(row.n for row in table) == len(answers)
    assert len({(row.right, row.chosen) for row in table}) == len(table)


# ── Loops ────────────────────────────────────────────────────────────────────────────────────────


def test_a_run_of_words_that_returns_is_found_whatever_its_spelling():
    words = words_of("I hear a dog. Wait, I hear a dog! And I HEAR a dog, so: dog.")
    assert most_repeated(words, 4).words == ("i", "hear", "a", "dog") and most_repeated(words, 4).times == 3


def test_occurrences_that_overlap_count_once():
    assert most_repeated(["no"] * 11, 3).times == 3


def test_fewer_words_than_a_run_repeat_nothing():
    assert most_repeated([], 3).times == most_repeated(["a", "b"], 3).times == 0


def test_text_without_spaces_loops_by_characters():
    assert most_repeated(words_of("等一下，我听到鸟叫。等一下，我听到鸟叫。"), 8).times == 2


def test_second_thoughts_are_whole_words():
    assert second_thoughts(words_of("Wait. WAIT, waiter! Actually... hmm, Hmmmm, mm")) == {
        "wait": 2,
        "actually": 1,
        "hmm": 2,
    }


@given(st.lists(st.sampled_from("ab"), max_size=40), st.integers(1, 4))
def test_repetitions_are_those_that_counting_in_the_text_finds(words, ngram):
    text = "".join(words)
    most = max((text.count(text[i : i + ngram]) for i in range(len(text) - ngram + 1)), default=0)
    assert most_repeated(words, ngram).times == most


@given(TEXT)
def test_any_text_has_words_and_repetitions(text):
    words = words_of(text)
    assert all(words) and sum(second_thoughts(words).values()) <= len(words)
    assert most_repeated(words, 2).times <= len(words) / 2


# ── One run ──────────────────────────────────────────────────────────────────────────────────────


def test_groups_of_questions_have_intervals_over_all_their_questions():
    questions = asked(*(question(i) for i in range(8)))
    samples = samples_of(*(response(f"q{i}", i % 4 if i % 2 else 3 - i % 4) for i in range(8)))
    analysis = analyse("run", questions, samples, PARAMS)
    worst, best = (row for row in analysis.groups if row.by == "sub_category")
    assert (worst.name, worst.n, worst.acc) == ("Counting and Statistics", 4, 0.0)
    assert (best.name, best.acc, best.chance) == ("Music Theory", 1.0, 0.25)
    assert (best.low, best.high) == tuple(round(x, 4) for x in wilson(4, 4))
    assert {name: row.n for name, row in rows_of(analysis, "language").items()} == {"en": 4, "not given": 4}
    assert list(rows_of(analysis, "clip_length")) == ["under 2 s", "10–20 s"]
    assert list(rows_of(analysis, "right_position")) == ["A", "B", "C", "D"]
    assert rows_of(analysis, "choices")["4"].acc == analysis.acc == 0.5


def test_every_group_tells_how_many_of_its_responses_fail_and_how():
    questions = asked(*(question(i) for i in range(4)))
    fates = [("ok", 0), ("truncated", None), ("ok", 2), ("error", None)]
    responses = [
        response(f"q{i}", answer, status, thinking="" if status == "error" else "I hear it.")
        for i, (status, answer) in enumerate(fates)
    ]
    analysis = analyse("run", questions, samples_of(*responses), PARAMS)
    shares = ("truncated", "no_answer", "error")
    en, other = (rows_of(analysis, "language")[name] for name in ("en", "not given"))
    of_each = [[getattr(row, key) for key in shares] for row in (en, other)]
    assert of_each == [[0.5, 0.0, 0.5], [0.0, 0.0, 0.0]]
    none, some = (row for row in analysis.thinking_length)
    of_each = [[getattr(row, key) for key in shares] for row in (none, some)]
    assert of_each == [[0.0, 0.0, 1.0], [0.3333, 0.0, 0.0]]
    page = markdown(analysis_of(questions, {"run": samples_of(*responses)}, PARAMS, []))
    assert re.search(r"\| en \|.*\| 50\.0 \| 0\.0 \| 50\.0 \|", page)


def test_failures_stay_in_every_denominator():
    questions = asked(*(question(i) for i in range(4)))
    failed = [response("q1", None, "truncated"), response("q2", None, "no_answer"), response("q3", None, "error")]
    analysis = analyse("run", questions, samples_of(response("q0", 0), *failed), PARAMS)
    assert analysis.acc == 0.25 and analysis.counts.accuracy == 0.25
    assert analysis.chosen_positions == {"A": 0.25}
    assert {row.status: row.n for row in analysis.invalid} == {
        "truncated": 1,
        "no_answer": 1,
        "error": 1,
        "missing": 0,
    }


def test_a_question_without_a_prediction_is_wrong_and_missing():
    questions = asked(question(0), question(1))
    analysis = analyse("run", questions, samples_of(response("q0", 0)), PARAMS)
    missing = analysis.invalid[-1]
    assert (analysis.acc, missing.n, missing.share) == (0.5, 1, 0.5)
    assert [example.id for example in missing.examples] == ["q1"]
    assert analysis.counts.n == 2


def test_looping_thinking_is_told_apart_with_its_accuracy_and_what_it_repeats():
    questions = asked(*(question(i) for i in range(4)))
    loop = response("q1", None, "truncated", thinking="so it barks " * 5)
    samples = samples_of(response("q0", 0), loop, response("q2", 2, thinking="so it barks " * 3), response("q3", 0))
    thinking = analyse("run", questions, samples, PARAMS).thinking
    assert (thinking.looping.n, thinking.looping.share, thinking.looping.acc) == (2, 0.5, 0.5)
    assert (thinking.looping.truncated, thinking.others.truncated) == (0.5, 0.0)
    assert thinking.loops[0] == Loop(id="q1", sample=0, times=5, words="so it barks")


def test_second_thoughts_are_told_in_1000_words():
    thinking = "Wait, " + "a " * 99
    analysis = analyse("run", asked(question(0)), samples_of(response("q0", 0, thinking=thinking)), PARAMS)
    assert analysis.thinking.per_1000_words == {"wait": 10.0, "actually": 0.0, "hmm": 0.0}


def test_thinking_is_binned_by_quartiles_and_none_is_a_bin_of_its_own():
    questions = asked(*(question(i) for i in range(9)))
    responses = [response(f"q{i}", 0, thinking="x" * 10 * i) for i in range(9)]
    rows = analyse("run", questions, samples_of(*responses), PARAMS).thinking_length
    assert [row.name for row in rows] == ["none", "10–20", "30–40", "50–60", "70–80"]
    assert sum(row.n for row in rows) == 9


def test_rules_have_the_accuracy_of_what_they_read():
    questions = asked(*(question(i) for i in range(4)))
    responses = [response("q0", 0), response("q1", 1), response("q2", 0, rule="letter")]
    responses.append(response("q3", None, "no_answer", rule="no_match"))
    rows = analyse("run", questions, samples_of(*responses), PARAMS).rules
    assert [(row.name, row.n, row.share, row.acc) for row in rows] == [
        ("verbatim", 2, 0.5, 1.0),
        ("letter", 1, 0.25, 0.0),
        ("no_match", 1, 0.25, 0.0),
    ]


def test_several_samples_narrow_no_interval():
    questions = asked(question(0), question(1))
    one = samples_of(response("q0", 0), response("q1", 0))
    many = samples_of(*(response(f"q{i}", 0, index=k) for i in range(2) for k in range(8)))
    first, second = (analyse("run", questions, samples, PARAMS) for samples in (one, many))
    assert first.groups == second.groups
    assert first.rules[0].low == second.rules[0].low and second.rules[0].n == 16
    assert second.counts.n == second.responses == 16


@pytest.mark.parametrize("status", ["error", "truncated", "no_answer"])
def test_a_run_in_which_everything_fails_is_analysed(status):
    questions = asked(*(question(i) for i in range(4)))
    failed = [response(f"q{i}", None, status, thinking="", text="", error="boom") for i in range(4)]
    analysis = analysis_of(questions, {"run": samples_of(*failed)}, PARAMS, [])
    assert (analysis.invalid, analysis.none_right, analysis.all_right) == (1.0, 1.0, 0.0)
    assert analysis.runs[0].thinking_length[0].name == "none"
    assert rendered(markdown(analysis)) and overview(analysis)


def test_a_run_without_any_prediction_is_analysed():
    analysis = analysis_of(asked(question(0)), {"run": {}}, PARAMS, [])
    assert analysis.invalid is None and analysis.runs[0].invalid[-1].n == 1
    assert rendered(markdown(analysis)) and overview(analysis)


def test_questions_that_are_no_counts_and_clips_of_unknown_length_are_analysed():
    unknown = question(0, choices=("yes", "no"), audio=Audio("", "", 0.0))
    analysis = analysis_of(asked(unknown), {"run": samples_of(response("q0", 0))}, PARAMS, [])
    assert list(rows_of(analysis.runs[0], "clip_length")) == ["not given"]
    assert "No question has numbers as its choices." in markdown(analysis)


# ── All runs ─────────────────────────────────────────────────────────────────────────────────────


def test_what_no_run_gets_right_is_listed_by_how_many_agree():
    questions = asked(*(question(i, answer=0) for i in range(4)))
    answers = {"a": (1, 1, 0, 0), "b": (2, 1, 0, 1), "c": (3, 1, 0, 1)}
    runs = {name: samples_of(*(response(f"q{i}", x) for i, x in enumerate(row))) for name, row in answers.items()}
    analysis = analysis_of(questions, runs, PARAMS, [])
    assert [(row.id, row.chosen, row.times) for row in analysis.hardest] == [
        ("q1", "three", 3),
        ("q0", "three", 1),
    ]
    assert (analysis.none_right, analysis.all_right, analysis.easiest) == (0.5, 0.25, ["q2"])


# ── The page ─────────────────────────────────────────────────────────────────────────────────────


@given(TEXT)
def test_any_text_in_a_table_is_shown_to_the_letter(text):
    shown = printable(text)
    for cell in (code_span(text), plain_text(text)):
        html = rendered(f"| a | b |\n|---|---|\n| {cell} | end |\n")
        assert html.count("<td>") == 2
        text_of = [t.content for t in MarkdownIt().enable("table").parse(f"| a | b |\n|---|---|\n| {cell} | end |\n")]
        assert text_of.count("end") == 1
    tokens = MarkdownIt().enable("table").parseInline(code_span(text).replace("\\|", "|"))[0].children
    assert "".join(token.content for token in tokens) == shown


@given(TEXT)
def test_any_text_in_a_page_becomes_no_html(text):
    q = question(0, question=text, choices=(text + "a", text + "b"), sub_category=text, language=text, modality=text)
    r = response("q0", None, "no_answer", thinking=text * 3, text=text)
    samples = {"q0": [Sample(r, text)]}
    analysis = analysis_of(asked(q), {"run": samples}, Errors(loop_ngram=1, loop_repeats=2), [])
    json.dumps(to_json(analysis), ensure_ascii=False).encode("utf-8")
    page = markdown(analysis)
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(page)
    inline = [child for token in tokens for child in token.children or ()]
    assert not [
        token for token in (*tokens, *inline) if token.type in ("html_block", "html_inline", "link_open", "image")
    ]


def test_a_script_in_the_thinking_is_shown_and_not_run():
    evil = "<script>alert(1)</script> | ![x](http://x) `tick` "
    failed = Sample(response("q0", None, "no_answer", thinking=evil * 3), evil)
    page = markdown(analysis_of(asked(question(0)), {"run": {"q0": [failed]}}, PARAMS, []))
    html = rendered(page)
    assert "<script" not in html and "&lt;script&gt;alert(1)&lt;/script&gt;" in html and "<img" not in html


@given(TEXT, st.booleans())
def test_shortened_texts_are_short_and_say_so(text, keep_end):
    shown = shortened(text, keep_end=keep_end)
    assert len(shown) <= 160 and (shown == printable(text) or "…" in shown)


# ── The stage and the command ────────────────────────────────────────────────────────────────────


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """Two prompts of eight questions: one is always right, the other never."""
    monkeypatch.chdir(tmp_path)
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["prompts"]["variants"] = ["good", "bad"]
    params["headline"]["variant"] = "good"
    params["judge"]["runs"], params["submission"]["run"] = [], "good"
    params["training"]["eval_prompts"] = params["arms"]["variants"] = params["vote"]["variants"] = ["good"]
    Path("params.yaml").write_text(yaml.safe_dump(params))
    write_jsonl(Path("data/questions/test.jsonl"), (to_dict(question(i)) for i in range(8)))
    for name, shift in (("good", 0), ("bad", 1)):
        rows = [to_dict(response(f"q{i}", (i + shift) % 4)) for i in range(8)]
        write_jsonl(Path(f"data/answers/base/{name}.jsonl"), rows)
    return tmp_path


def run(monkeypatch, *arguments):
    if not arguments:
        monkeypatch.setattr("sys.argv", ["errors"])
        errors.main()
    elif ended := command(*map(str, arguments)):
        raise SystemExit(ended)


def fails(monkeypatch, capsys, *arguments):
    with pytest.raises(SystemExit) as caught:
        run(monkeypatch, *arguments)
    assert caught.value.code == 2
    return capsys.readouterr().err


def test_the_stage_writes_figures_and_a_page_that_never_change(workplace, monkeypatch, capsys):
    run(monkeypatch)
    figures, page = errors.ERRORS.read_bytes(), errors.PAGE.read_bytes()
    analysis = json.loads(figures)
    assert [row["run"] for row in analysis["runs"]] == ["good", "bad"]
    assert (analysis["none_right"], analysis["all_right"]) == (0.0, 0.0)
    assert b"## bad" in page
    run(monkeypatch)
    assert (errors.ERRORS.read_bytes(), errors.PAGE.read_bytes()) == (figures, page)
    capsys.readouterr()
    run(monkeypatch, "show", "errors")
    assert "good" in capsys.readouterr().out


def test_dvc_is_shown_a_few_figures_alone(workplace, monkeypatch):
    run(monkeypatch)
    analysis = json.loads(errors.ERRORS.read_text())
    shown = [key for key, value in analysis.items() if not isinstance(value, list)]
    assert shown == ["questions", "invalid", "looping", "none_right", "all_right"]


def test_named_runs_are_printed_or_written_where_told(workplace, monkeypatch, capsys):
    run(monkeypatch, "errors", "bad")
    assert "## bad" in capsys.readouterr().out and not errors.ERRORS.exists() and not errors.PAGE.exists()
    run(monkeypatch, "errors", "bad", "good", "--out", "a.md", "--out-json", "a.json")
    assert [row["run"] for row in json.loads(Path("a.json").read_text())["runs"]] == ["bad", "good"]
    assert "## good" in Path("a.md").read_text()


def test_predictions_in_the_challenges_format_are_analysed(workplace, monkeypatch, capsys):
    rows = [{"id": f"q{i}", "thinking_prediction": "so " * 30, "answer_prediction": "two"} for i in range(4)]
    write_jsonl(Path("result.jsonl"), rows)
    run(
        monkeypatch,
        "errors",
        "--questions",
        "data/questions/test.jsonl",
        "--predictions",
        "result.jsonl",
        "--out-json",
        "a.json",
    )
    analysis = json.loads(Path("a.json").read_text())["runs"][0]
    assert (analysis["run"], analysis["acc"], analysis["invalid"][-1]["n"]) == ("result.jsonl", 0.125, 4)
    assert analysis["thinking"]["looping"]["n"] == 4
    assert "result.jsonl" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("errors", "goood"), "no run is called 'goood'; did you mean \"good\"?"),
        (("errors", "bad@vote"), "vote.variants does not list 'bad'"),
        (("errors", "good@silent"), 'did you mean "good@silence"?'),
        (("errors", "--questions", "q.jsonl"), "give either runs"),
        (("errors", "--out", "a.md"), "give either runs"),
        (("show", "errors"), "metrics/errors.json: no such file"),
    ],
)
def test_mistakes_are_told(workplace, monkeypatch, capsys, arguments, expected):
    assert expected in fails(monkeypatch, capsys, *arguments)


def test_predictions_of_other_questions_are_refused(workplace, monkeypatch, capsys):
    write_jsonl(Path("data/answers/base/bad.jsonl"), [to_dict(replace(response("q0", 0), question_id="z0"))])
    assert "no question has the id 'z0'" in fails(monkeypatch, capsys)
    assert not errors.ERRORS.exists()


# ── A prompt's failures on dev ───────────────────────────────────────────────────────────────────


@pytest.fixture
def dev(tmp_path, monkeypatch):
    """A project whose endpoint answers two of four dev questions rightly, one with another choice, one with none."""
    monkeypatch.chdir(tmp_path)
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    values["infer"] |= {"backend": "openai", "endpoint_model": "fake"}
    Path("params.yaml").write_text(yaml.safe_dump(values))
    Path("prompts").symlink_to(ROOT / "prompts")
    clip = Path("data/audio/clip.flac")
    clip.parent.mkdir(parents=True)
    write_flac(clip, np.full(16_000, 0.1, dtype=np.float32))
    audio = Audio(clip.name, sha256_file(clip), 1.0)
    asked = [question(i, audio=audio, question=f"How many in {i}?") for i in range(4)]
    write_jsonl(Path("data/questions/dev.jsonl"), map(to_dict, asked))
    said = ["ANSWER: two", "<think>Wait.\n\x1b[2J# shout</think>\nANSWER: two", "ANSWER: four", "Several."]
    with FakeOpenAI() as fake:
        for q, text in zip(asked, said, strict=True):
            [prompt] = {load_prompt("baseline", Path("prompts")).render(q.question, q.choices)[1]}
            reply = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
            fake.faults[prompt] = [answer({"choices": [reply]})]
        monkeypatch.setenv("AUDIO_REASONING_BASE_URL", fake.base_url)
        monkeypatch.setenv("AUDIO_REASONING_API_KEY", fake.key)
        yield fake


def test_a_prompt_is_asked_dev_and_its_failing_answers_are_shown(dev, monkeypatch, capsys):
    run(monkeypatch, "errors", "--prompt", "baseline", "--out", "failures.md", "--out-json", "failures.json")
    shown = capsys.readouterr().out
    assert "baseline on dev: 50.0 % right (15.0–85.0) of 4 questions, chance 25.0 %; 2 of 4 answers fail" in shown
    table = [line.split() for line in shown.splitlines()]
    assert ["wrong", "choice", "1", "25.0"] in table and ["no", "answer", "1", "25.0"] in table
    assert "q1  Music Theory: wrong choice" in shown and "chosen    A: two" in shown and "right     B: three" in shown
    assert "said      Several." in shown and "thinking  Wait." in shown and "data/audio/clip.flac" in shown
    assert "q0 " not in shown and "\x1b" not in shown
    page = rendered(Path("failures.md").read_text())
    assert "<h1>What fails under baseline on dev</h1>" in page and page.count("<h1>") == 1
    assert "<h2><code>q3</code> Music Theory: no answer</h2>" in page and "# shout" in page
    assert json.loads(Path("failures.json").read_text())["runs"][0]["acc"] == 0.5
    asked = sum(dev.asked.values())
    run(monkeypatch, "errors", "--prompt", "baseline", "--sub-category", "music theory", "--limit", "1", "--show", "0")
    shown = capsys.readouterr().out
    assert "of 1 questions" in shown and "1 more: --show 1" in shown and "q1 " not in shown
    assert sum(dev.asked.values()) == asked


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--prompt", "baseline", "--split", "test"), "--split test: what fails on the test questions may decide"),
        (("--prompt", "basline"), 'did you mean "baseline"'),
        (("--prompt", "baseline", "--split", "train"), "data/questions/train.jsonl: no such file"),
        (("--prompt", "baseline", "--model", "iter9"), "models/iter9/model.json"),
        (("--prompt", "baseline", "--sub-category", "Music Theorie"), 'did you mean "Music Theory"'),
        (("--prompt", "baseline", "--out", "data/questions/dev.jsonl"), "would write over the questions"),
        (("--prompt", "baseline", "baseline"), "give either runs"),
        (("baseline", "--split", "dev"), "go with --prompt"),
    ],
)
def test_a_prompt_that_cannot_be_looked_into_is_told(dev, monkeypatch, capsys, arguments, expected):
    told = fails(monkeypatch, capsys, "errors", *arguments)
    assert expected in told and not dev.asked
