"""The command line for people: its help, its exit codes, and questions put to a model."""

import json
import os
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.main import get_command
from typer.testing import CliRunner

from audio_reasoning.core.files import sha256_file, write_json, write_jsonl
from audio_reasoning.core.models import base_identity
from audio_reasoning.core.records import Audio, Question, to_dict
from audio_reasoning.tasks.audio import write_flac
from cli.main import app
from tests.commands import command
from tests.fake_openai import FakeOpenAI
from tests.pipeline import heed_interrupts

ROOT = Path(__file__).parents[1]


def all_commands(group=None, names=()):
    group = group or get_command(app)
    for name, inner in group.commands.items():
        yield (*names, name)
        if hasattr(inner, "commands"):
            yield from all_commands(inner, (*names, name))


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with parameters, prompts and three questions whose clips are a second long."""
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    Path("prompts").symlink_to(ROOT / "prompts")
    questions = []
    for index in range(3):
        clip = Path("data/audio") / f"q{index}.flac"
        clip.parent.mkdir(parents=True, exist_ok=True)
        write_flac(clip, np.full(16_000, 0.1 * (index + 1), dtype=np.float32))
        audio = Audio(clip.name, sha256_file(clip), 1.0)
        question = f"What is heard in {index}?"
        fields = {"category": "Signal Layer", "sub_category": "Acoustics", "modality": "sound", "language": "en"}
        questions.append(Question(f"q{index}", audio, question, ("a bell", "rain"), 0, **fields, source="s", group="g"))
    write_jsonl(Path("data/questions/test.jsonl"), map(to_dict, questions))
    return tmp_path


@pytest.fixture
def endpoint(monkeypatch):
    with FakeOpenAI() as fake:
        monkeypatch.setenv("AUDIO_REASONING_BASE_URL", fake.base_url)
        monkeypatch.setenv("AUDIO_REASONING_API_KEY", fake.key)
        yield fake


ENGINE = ("--engine", "openai", "--endpoint-model", "fake")


def questions_asked(fake):
    return [text for text in fake.asked if "What is heard in" in text]


@pytest.mark.parametrize("names", list(all_commands()), ids=" ".join)
def test_the_help_of_every_command_shows_how_to_call_it(names):
    shown = CliRunner().invoke(app, [*names, "--help"])
    assert shown.exit_code == 0
    examples = re.search(r"Examples?:\n(.*)", shown.stdout, re.DOTALL)
    assert examples and f"audio-reasoning {' '.join(names)}" in examples[1]


def test_help_is_quick():
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "cli", "--help"], cwd=ROOT, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime < 0.8  # 0.25 s where nothing else runs
    slow = "import sys, cli.main; print([name for name in ('torch', 'dvc', 'numpy', 'pandas') if name in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", slow], cwd=ROOT, check=True, capture_output=True, text=True)
    assert shown.stdout == "[]\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ask", "basline", *ENGINE), 'did you mean "baseline"'),
        (("ask", "Baseline!", *ENGINE), "names no run"),
        (("ask", "iter9/baseline", *ENGINE), "models/iter9/model.json"),
        (("ask", "baseline@silense", *ENGINE), 'did you mean "silence"'),
        (("ask", "baseline@vote", *ENGINE), "votes are counted, not asked"),
        (("ask", "baseline", "--engine", "vlm"), 'did you mean "vllm"'),
        (("ask", "baseline", "--engine", "no_such:engine"), "no_such"),
        (("ask", "baseline", "--engine", "openai"), "endpoint_model"),
        (("ask", "baseline", "--temperature", "3", *ENGINE), "infer.temperature"),
        (("ask", "baseline", "--n", "4", "--temperature", "0", *ENGINE), "temperature"),
        (("ask", "baseline", "--questions", "absent.jsonl", *ENGINE), "absent.jsonl"),
        (("ask", "baseline", "--prompt", "absent.yaml", *ENGINE), "absent.yaml"),
        (("score", "basline"), 'did you mean "baseline"'),
        (("compare", "baseline", "absent.jsonl"), "data/answers/base/baseline.jsonl"),
        (("fingerprint", "mine"), "mini"),
        (
            ("ask", "baseline", "--out", "data/answers/base/baseline.jsonl", *ENGINE),
            "data/ holds what the pipeline makes",
        ),
        (
            ("ask", "baseline", "--out", "metrics/scores/base/mine.json", *ENGINE),
            "metrics/ holds what the pipeline makes",
        ),
        (("ask", "baseline", "--out", "data/questions/test.jsonl", *ENGINE), "would write over the questions"),
        (("ask", "baseline", "--out", "prompts", *ENGINE), "is a folder"),
        (("export", "iter9", "--out", "there"), "models/iter9/model.json"),
        (("export", "base", "--out", "there"), "models/base"),
        (("export", "base", "--out", "there", "--adapter"), "models/base has no adapter"),
        (("show", "arms"), "metrics/arms.json"),
    ],
)
def test_a_mistake_is_one_line_that_names_it(project, endpoint, capsys, arguments, message):
    assert command(*arguments) == 2
    told = capsys.readouterr().err
    assert message in told and len(told.splitlines()) == 1 and told.startswith("error: ")
    assert not endpoint.asked and not Path("there").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("ask",),
        ("ask", "baseline", "--limit", "0"),
        ("score", "baseline", "--questions", "q.jsonl"),
        ("show", "everything"),
        ("compare", "a", "b", "--md", "--json"),
        ("submission", "build", "--out", "mine.zip"),
        ("asks",),
    ],
)
def test_a_wrong_use_ends_with_2_and_says_how_to_use_it(project, capsys, arguments):
    assert command(*arguments) == 2
    assert "Usage: audio-reasoning" in capsys.readouterr().err


def test_some_questions_are_asked_and_the_answers_are_shown(project, endpoint, capsys):
    assert command("ask", "baseline", *ENGINE, "--limit", "2") == 0
    shown = capsys.readouterr().out
    assert [line.split()[0] for line in shown.splitlines() if line.startswith("q")] == ["q0", "q1"]
    assert "of 2 questions" in shown and "strict" in shown and "official" in shown
    assert shown.endswith("; ok 0, truncated 0, no_answer 2, error 0\n")  # the fake repeats the question
    assert not Path("data/answers").exists()  # two questions are not the run
    asked = len(questions_asked(endpoint))
    assert asked == 2
    assert command("ask", "baseline", *ENGINE) == 0  # what was answered is not asked again
    assert sum(endpoint.asked[text] for text in questions_asked(endpoint)) == 3


def test_answers_go_to_a_file_with_what_made_them(project, endpoint):
    options = ("--temperature", "0.7", "--n", "2", "--max-tokens", "9", "--seed", "5", "--top-p", "0.9")
    assert command("ask", "baseline@silence", *ENGINE, *options, "--out", "x.jsonl", "--in-flight", "1") == 0
    rows = [json.loads(line) for line in Path("x.jsonl").read_text().splitlines()]
    assert [(row["question_id"], row["sample_index"]) for row in rows] == [
        (f"q{i}", n) for i in range(3) for n in (0, 1)
    ]
    manifest = json.loads(Path("x.run.json").read_text())
    assert manifest["decoding"] == {"temperature": 0.7, "top_p": 0.9, "max_tokens": 9, "n": 2, "seed": 5}
    assert manifest["arm"]["kind"] == "silence" and endpoint.peak == 1


def test_a_run_as_the_parameters_describe_it_goes_to_its_place(project, endpoint):
    text = Path("params.yaml").read_text()
    Path("params.yaml").write_text(
        text.replace("backend: vllm", "backend: openai").replace("endpoint_model: ''", "endpoint_model: fake")
    )
    assert command("ask", "baseline", "--in-flight", "2") == 0
    assert Path("data/answers/base/baseline.jsonl").is_file() and Path("data/answers/base/baseline.run.json").is_file()
    assert command("ask", "baseline", "--temperature", "0.9") == 0
    assert json.loads(Path("data/answers/base/baseline.run.json").read_text())["decoding"]["temperature"] == 0.1


def test_an_alias_is_the_prompt_itself_unless_the_parameters_list_it(project, endpoint, capsys):
    text = Path("params.yaml").read_text()
    text = text.replace("backend: vllm", "backend: openai").replace("endpoint_model: ''", "endpoint_model: fake")
    Path("params.yaml").write_text(text)
    assert command("ask", "v12") == 0 and command("ask", "baseline", "--prompt", "v9") == 0
    assert {file.name for file in Path("data/answers/base").glob("*.jsonl")} == {
        "structured_reasoning.jsonl", "anti_overthinking.jsonl"
    }  # fmt: skip
    assert command("score", "v12") == 0 and command("errors", "v12") == 0 and command("compare", "v9", "v12") == 0
    shown = capsys.readouterr().out
    assert "structured_reasoning" in shown and "v12" not in shown
    Path("params.yaml").write_text(re.sub(r"\bstructured_reasoning\b", "v12", text))
    assert command("ask", "structured_reasoning") == 0 and Path("data/answers/base/v12.jsonl").is_file()
    manifest = json.loads(Path("data/answers/base/v12.run.json").read_text())
    assert manifest["prompt"]["name"] == "structured_reasoning"


@pytest.fixture
def mmar(tmp_path, monkeypatch):
    """MMAR's metadata and clips to be converted, outside a project; the options that ask them under a prompt file."""
    monkeypatch.chdir(tmp_path)
    Path("clips").mkdir()
    rows = []
    for index, answer in enumerate(("rain", "rain", "thunder")):
        soundfile.write(f"clips/{index}.wav", np.full(8_000, 0.2), 8_000)
        labels = {"modality": "sound", "category": "Signal Layer", "sub-category": "Acoustics"}
        asked = {"question": f"What is heard in {index}?", "choices": ["a bell", "rain"], "answer": answer}
        rows.append({"id": f"m{index}", "audio_path": f"{index}.wav", **asked, **labels})
    write_json(Path("meta.json"), rows)
    fields = {"name": "mine", "title": "t", "strategy": "s", "version": 1, "system": ""}
    write_json(Path("mine.yaml"), {**fields, "user": "Mine: {{ question }} {{ choices }}"})
    return ("--questions", "meta.json", "--audio", "clips", "--prompt", "mine.yaml")


def test_questions_of_mmar_are_asked_with_a_prompt_of_ones_own_outside_a_project(mmar, endpoint, capsys):
    assert command("ask", "baseline", *ENGINE, *mmar) == 0
    shown = capsys.readouterr()
    assert "m2 is not asked" in shown.err and "of 2 questions" in shown.out
    assert all(text.startswith("Mine: ") for text in questions_asked(endpoint))
    assert command("ask", "baseline", *ENGINE, "--prompt", "mine.yaml", "--questions", "meta.json") == 2
    assert "--audio FOLDER" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "unset", "message"),
    [
        (("baseline", "--engine", "no_such:engine"), "", "no_such"),
        (("baseline", *ENGINE), "AUDIO_REASONING_API_KEY", "AUDIO_REASONING_API_KEY"),
        (("baseline", "--engine", "transformers"), "", "models/base"),
        (("iter9/baseline", *ENGINE), "", "models/iter9"),
        (("baseline@silense", *ENGINE), "", 'did you mean "silence"'),
        (("baseline", *ENGINE, "--prompt", "yours.yaml"), "", "yours.yaml"),
        (("baseline", *ENGINE, "--out", "meta.json"), "", "would write over the questions, meta.json"),
    ],
)
def test_a_mistake_is_told_before_any_clip_is_converted(mmar, endpoint, monkeypatch, capsys, arguments, unset, message):
    monkeypatch.setenv(unset or "UNUSED", "")
    before = Path("meta.json").read_bytes()
    assert command("ask", arguments[0], *mmar, *arguments[1:]) == 2
    told = capsys.readouterr().err
    assert message in told and len(told.splitlines()) == 1
    assert not Path(".cache/asked").exists() and not endpoint.asked and Path("meta.json").read_bytes() == before


def test_a_base_model_is_exported_if_its_weights_are_here(project, capsys):
    write_json(Path("models/base/config.json"), {"model_type": "qwen3_omni_moe"})
    Path("models/base/model.safetensors").write_bytes(b"weights")
    assert command("export", "base", "--out", "mine") == 0
    written = {path.name: path.read_bytes() for path in Path("mine").iterdir()}
    assert b"base model" in written.pop("README.md")
    assert written == {path.name: path.read_bytes() for path in Path("models/base").iterdir()}
    of = {"base": base_identity(Path("models/base")), "adapter": None, "model": "iter1"}
    write_json(Path("models/iter1/model.json"), of)  # as the gate leaves it where it takes no adapter
    assert command("export", "iter1", "--out", "another") == 2
    assert "is the base model, which `export base` writes" in capsys.readouterr().err
    write_json(Path("models/base/pointer.json"), {"id": "lab/model", "revision": "0123"})
    assert command("export", "base", "--out", "another") == 2
    assert "`vllm serve lab/model --revision 0123` serves it" in capsys.readouterr().err
    assert not Path("another").exists()


def test_ctrl_c_ends_with_130(project, endpoint):
    endpoint.latency_s = 30
    ask = [sys.executable, "-m", "cli", "ask", "baseline", *ENGINE]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        ask,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=heed_interrupts,
    )
    while not endpoint.in_flight:
        assert process.poll() is None, process.stderr.read()
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=30)
    assert process.returncode == 130 and "run the same command to go on" in told
