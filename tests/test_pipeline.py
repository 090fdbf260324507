"""The whole pipeline at micro size, real server included: what runs when, and what interruption costs."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import yaml

from tests.pipeline import TEST_QUESTIONS, VARIANTS, Pipeline, ended, kill_tree, prepared, wait_until
from tests.test_sharing import assert_all_is_there, pulled, push

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ANSWER = [f"answer@{v}" for v in VARIANTS]
# What reads all answers, whichever runs there are.
EVIDENCE = ["arms", "compare", "errors", "judge", "compare_models", "submission", "report"]
STRUCTURED = ["answer@structured_reasoning", "score"]


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    pipeline = prepared(tmp_path_factory, "pipeline")
    try:
        answered = [
            "rubrics",
            "given_traces",
            "recipes",
            *ANSWER,
            "score",
            "score_controls",
            *EVIDENCE,
            "headline",
            "optimize_table",
            "vote_tables",
        ]
        assert pipeline.repro() == sorted(answered)
        yield pipeline
    finally:
        pipeline.python("-m", "cli", "server", "stop")


def responses(pipeline: Pipeline, variant: str) -> list[dict]:
    return [
        json.loads(line) for line in (pipeline.root / f"data/answers/base/{variant}.jsonl").read_text().splitlines()
    ]


def outputs(pipeline: Pipeline) -> dict[str, bytes]:
    files = [*pipeline.root.glob("data/answers/base/*"), *pipeline.root.glob("metrics/**/*.json")]
    return {str(f.relative_to(pipeline.root)): f.read_bytes() for f in files}


def test_every_question_is_in_every_prediction_file_in_order(pipeline: Pipeline) -> None:
    asked = [json.loads(line)["id"] for line in (pipeline.root / "data/questions/test.jsonl").read_text().splitlines()]
    assert len(asked) == TEST_QUESTIONS
    for variant in VARIANTS:
        assert [row["question_id"] for row in responses(pipeline, variant)] == asked


def test_a_variant_changes_how_the_model_reasons(pipeline: Pipeline) -> None:
    share = {
        variant: sum("HEARD:" in row["text"] for row in responses(pipeline, variant)) / TEST_QUESTIONS
        for variant in VARIANTS
    }
    assert share["structured_reasoning"] > 0.9
    assert share["baseline"] < 0.1


def test_metrics_have_the_same_short_keys_for_every_variant(pipeline: Pipeline) -> None:
    files = [pipeline.json(f"metrics/scores/base/{variant}.json") for variant in VARIANTS]
    assert files[0].keys() == files[1].keys()
    assert len(files[0]["sub_category"]) == 16
    shown = pipeline.run("dvc", "metrics", "show", "--json", "metrics/scores/base/baseline.json").stdout
    assert "acc_strict" in shown


def test_the_run_is_identified_beside_its_predictions(pipeline: Pipeline) -> None:
    run = pipeline.json("data/answers/base/baseline.run.json")
    assert run["prompt"]["name"] == "baseline"
    assert run["decoding"]["max_tokens"] == 48
    assert run["backend"]


def test_a_second_run_executes_nothing(pipeline: Pipeline) -> None:
    assert pipeline.repro() == []


@pytest.mark.parametrize(
    ("what", "name", "old", "new", "stages"),
    [
        ("a word in one prompt", "prompts/structured_reasoning.yaml", "three steps", "three short steps",
         [*STRUCTURED, *EVIDENCE, "headline", "recipes"]),
        ("a runtime setting", "params.yaml", "concurrency: 256", "concurrency: 48", ["parameters"]),
        ("the headline", "params.yaml", "headline:\n  variant: structured_reasoning", "headline:\n  variant: baseline",
         ["parameters", "headline", "report"]),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) and len(value) < 32 and " " in value else "",
)  # fmt: skip
def test_a_change_executes_exactly_its_stages(
    pipeline: Pipeline, what: str, name: str, old: str, new: str, stages: list[str]
) -> None:
    pipeline.edit(name, lambda text: text.replace(old, new, 1))
    assert pipeline.repro() == sorted(stages), what


def test_a_clone_that_pulls_has_all_results_and_nothing_to_do(pipeline: Pipeline, tmp_path: Path) -> None:
    push(pipeline.root, tmp_path / "remote")
    clone = pulled(pipeline.root, tmp_path / "remote", tmp_path / "clone")
    assert_all_is_there(clone, pipeline.root)
    clips = {path.name for path in (pipeline.root / "data/audio/mini").iterdir()}
    assert {path.name for path in (clone.root / "data/audio/mini").iterdir()} == clips


def test_controls_votes_and_ratings_are_made_where_they_are_asked_for(pipeline: Pipeline) -> None:
    name, kinds = "structured_reasoning", ("silence", "text_only", "permuted")
    params = yaml.safe_load((pipeline.root / "params.yaml").read_text())
    before = {path.name: path.read_bytes() for path in pipeline.root.glob("data/answers/base/*")}
    params["arms"] |= {"variants": [name], "kinds": [*kinds], "permutations": 2}
    params["vote"] |= {"variants": [name], "n": 4}
    params["judge"]["runs"] = ["baseline", f"{name}@vote"]
    params["compare"]["contrasts"] += [{"a": f"{name}@silence", "b": name}, {"a": name, "b": f"{name}@vote"}]
    params["submission"]["run"] = f"{name}@vote"
    (pipeline.root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    made = [*(f"answer_controls@{name}-{kind}" for kind in kinds), "score_controls"]
    changed = [stage for stage in EVIDENCE if stage not in ("errors", "compare_models")]
    sampled = [f"answer_samples@{name}", f"vote@{name}", "vote_tables"]
    assert pipeline.repro() == sorted(["parameters", *made, *sampled, *changed])
    assert {path.name: path.read_bytes() for path in pipeline.root.glob("data/answers/base/*")} == before

    arms = pipeline.json("metrics/arms.json")["variants"][name]
    assert arms["silence"]["audio_gain"] == pytest.approx(arms["acc"] - arms["silence"]["acc"], abs=2e-6)  # rounded
    assert 0 < arms["permuted"]["consistency"] <= 1
    silent = [json.loads(line) for line in (pipeline.root / f"data/controls/base/{name}@text_only.jsonl").open()]
    assert len(silent) == TEST_QUESTIONS
    assert all(a["prompt_tokens"] < b["prompt_tokens"] for a, b in zip(silent, responses(pipeline, name), strict=True))
    contrasts = {(row["a"], row["b"]): row for row in pipeline.json("metrics/summary.json")["contrasts"]}
    assert len(contrasts) == 3 and all(row["verdict_text"] for row in contrasts.values())
    judged = pipeline.json("metrics/judge.json")
    assert "evidence_score" in json.dumps(judged) and "rubrics_score" not in json.dumps(judged)
    submitted = pipeline.json("metrics/submission.json")
    assert submitted["run"] == f"{name}@vote"
    page = (pipeline.root / "reports/index.html").read_text()
    assert f"{name}@silence" in page and f"{name}@vote" in page
    assert pipeline.repro() == []


def test_an_experiment_changes_a_parameter_and_shows_the_difference(pipeline: Pipeline) -> None:
    pipeline.run("git", "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qam", "Before")
    pipeline.run("git", "add", "-A")
    pipeline.run("git", "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "Metrics", check=False)
    pipeline.run("dvc", "exp", "run", "-S", "infer.temperature=0.9", "score")
    diff = pipeline.run("dvc", "metrics", "diff", "--targets", "metrics/scores/base/baseline.json").stdout
    assert "sub_category" in diff  # the accuracy of all may be what it was
    assert "temperature: 0.9" in (pipeline.root / "params.yaml").read_text()


def test_an_interrupted_and_a_killed_run_go_on_and_end_with_the_same_bytes(pipeline: Pipeline) -> None:
    undisturbed = outputs(pipeline)
    pipeline.forget_answers()
    for how, enough in ((signal.SIGINT, 20), (signal.SIGKILL, TEST_QUESTIONS + 20)):
        process = pipeline.start_repro("score")
        wait_until(lambda enough=enough: pipeline.cached_answers() >= enough)  # type: ignore[misc]
        kill_tree(process, how)
        assert process.returncode != 0
        assert pipeline.cached_answers() < len(VARIANTS) * TEST_QUESTIONS, "the run had ended before it was interrupted"
    kept = pipeline.cached_answers()
    assert kept >= TEST_QUESTIONS + 20
    pipeline.repro("score")
    assert pipeline.cached_answers() == len(VARIANTS) * TEST_QUESTIONS
    assert outputs(pipeline) == undisturbed


def test_a_server_killed_in_mid_run_costs_no_answer(pipeline: Pipeline) -> None:
    undisturbed = outputs(pipeline)
    pipeline.forget_answers()
    process = pipeline.start_repro("score")
    wait_until(lambda: pipeline.cached_answers() >= 20)
    server = psutil.Process(pipeline.server_state()["process"]["pid"])
    for child in [*server.children(recursive=True), server]:
        child.kill()
    assert process.wait(timeout=600) == 0
    assert pipeline.cached_answers() == len(VARIANTS) * TEST_QUESTIONS
    assert outputs(pipeline) == undisturbed


ASK = """
import json, sys
from stages.project import load_project
from stages.setup import setup_of
from audio_reasoning.core.records import read_questions
from audio_reasoning.tasks.extract import read_answer
from audio_reasoning.engines.answer import answer_questions
from audio_reasoning.prompts.registry import load_prompt
from pathlib import Path
params = load_project()
greedy = params.infer.model_copy(update={"backend": sys.argv[1], "endpoint_model": sys.argv[2], "temperature": 0.0})
setup = setup_of("base", greedy.backend, params.serve, params.runtime, greedy.endpoint_model)
questions = read_questions(Path("data/questions/test.jsonl"))[:200]
prompt = load_prompt("structured_reasoning", Path("prompts"))
rollouts, _ = answer_questions(questions, prompt, setup, greedy.decoding())
answers = [read_answer(r, q.choices) for q, r in zip(questions, rollouts, strict=True)]
print(json.dumps([[r.text, r.answer, r.status] for r in answers]))
"""


def test_three_backends_give_the_same_greedy_answers(pipeline: Pipeline) -> None:
    def ask(backend: str, model: str = "", **env: str) -> list[list]:
        return json.loads(pipeline.python("-c", ASK, backend, model, **env).stdout.splitlines()[-1])

    vllm = ask("vllm")
    state = pipeline.server_state()
    endpoint = {
        "AUDIO_REASONING_BASE_URL": f"http://127.0.0.1:{state['port']}/v1",
        "AUDIO_REASONING_API_KEY": state["api_key"],
    }
    for other in (ask("openai", state["model_name"], **endpoint), ask("transformers")):
        same = sum(a == b for a, b in zip(vllm, other, strict=True))
        assert same >= 198, f"{same} of 200 answers agree, thinking included"
    assert sum(row[2] == "ok" for row in vllm) > 100, "agreement on failures would mean nothing"


def test_a_clip_that_changed_after_hashing_stops_the_stage(pipeline: Pipeline) -> None:
    question = json.loads((pipeline.root / "data/questions/test.jsonl").read_text().splitlines()[0])
    path = pipeline.root / "data/audio" / question["audio"]["path"]
    kept = path.read_bytes()
    path.unlink()  # DVC's cache may hold the same file
    path.write_bytes(kept + b"\0")
    done = pipeline.python("-m", "stages.answer", "baseline", check=False)
    path.write_bytes(kept)
    assert done.returncode == 2
    assert str(Path("data/audio") / question["audio"]["path"]) in done.stderr
    assert "dvc repro" in done.stderr


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("params.yaml", "temperature:", "temprature:", 'did you mean "temperature"'),
        ("params.yaml", "  variants:\n", "  variants:\n  - baselin\n", 'did you mean "baseline"'),
        ("prompts/baseline.yaml", "{{ question }}", "{{ category }} {{ question }}", "uses 'category'"),
        ("dvc.yaml", "- headline.variant", "- headline.varient", "headline.varient"),
    ],
)
def test_the_check_finds_a_mistake_before_anything_starts(
    pipeline: Pipeline, name: str, old: str, new: str, message: str
) -> None:
    path = pipeline.root / name
    kept = path.read_text()
    path.write_text(kept.replace(old, new, 1))
    try:
        done = pipeline.python("-m", "stages.check", check=False)
    finally:
        path.write_text(kept)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_the_server_stops_when_told(pipeline: Pipeline) -> None:
    pid = pipeline.server_state()["process"]["pid"]
    assert "stopped" in pipeline.python("-m", "cli", "server", "stop").stdout
    assert ended(pid)
    assert "no server" in pipeline.python("-m", "cli", "server", "status").stdout
    assert pipeline.cached_answers()
