"""The gate: when a candidate is accepted, at which strength, and the model folder that comes of it."""

import shutil
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from audio_reasoning.algorithms import asking
from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import read_json, write_json, write_jsonl
from audio_reasoning.core.models import CONFIG, WEIGHTS, adapter_identity, adapter_of, resolve
from audio_reasoning.core.records import Comparison, Rollout, to_dict
from audio_reasoning.core.rollouts import Trace, read_records, write_records
from stages import training_gate as gate
from stages.layout import TRAINING
from stages.project import load_project
from stages.training_models import bank_of, depth_of, trained_problems
from tests.training_records import ROOT, question, trace, write_parameters, write_questions

BASE = Path("models/base")
CANDIDATE = Path("models/candidates/iter1")
GATE = load_project(path=ROOT / "params.yaml").rest.gate.model_copy(
    update={"enabled": True, "epsilon": 0.02, "max_retention_loss": 0.01}
)


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    """A folder with a base model, of which only the files' names and bytes matter here, and a candidate."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    (tmp_path / "prompts").symlink_to(ROOT / "prompts")
    write_json(BASE / "config.json", {"the": "base"})
    write_adapter(CANDIDATE)
    write_records(TRAINING / "iter1/bank.parquet", Trace, [trace("t1"), trace("t2")])


def write_adapter(folder, strength=1.0):
    """Weights that hold one number, and a configuration."""
    folder.mkdir(parents=True)
    save_file({"q.lora_A.weight": torch.ones(1), "q.lora_B.weight": torch.tensor([strength])}, folder / WEIGHTS)
    write_json(folder / CONFIG, {"r": 1})


def strength_of(adapter):
    return load_file(adapter / WEIGHTS)["q.lora_B.weight"].item()


# ── The verdict ──────────────────────────────────────────────────────────────────────────────────────────────────────


def compared(difference, low=0.0):
    return Comparison("base", "iter1", 50, difference, low, difference + 0.05, 0.5, 1, 2, "bootstrap")


@pytest.mark.parametrize(
    ("dev", "retention", "accepted", "reason"),
    [
        (compared(0.03, 0.01), None, True, "on dev +3.0 points [+1.0, +8.0]; no mastered problem was left out"),
        (
            compared(0.03, 0.01),
            compared(-0.01, -0.03),
            True,
            "on dev +3.0 points [+1.0, +8.0]; -1.0 points [-3.0, +4.0] on 50 mastered problems",
        ),
        (compared(0.00, -0.02), None, True, "on dev +0.0 points"),
        (compared(0.03, -0.021), compared(0.0), False, "worse by more than epsilon: +3.0 points [-2.1, +8.0]"),
        (compared(0.03, 0.01), compared(-0.03), True, "on dev +3.0 points"),
        (compared(0.03, 0.01), compared(-0.06), False, "forgets: -6.0 points [+0.0, -1.0] on 50 mastered problems"),
    ],
    ids=["better", "forgets little", "not surely worse", "maybe worse", "maybe forgets", "forgets"],
)
def test_a_candidate_that_is_not_worse_and_forgets_little_is_accepted(dev, retention, accepted, reason):
    found = gate.verdict(dev, retention, GATE)
    assert found[0] is accepted and reason in found[1]


def test_without_a_gate_anything_is_accepted_and_that_is_said():
    found = gate.verdict(compared(-0.5, -0.6), compared(-0.9), GATE.model_copy(update={"enabled": False}))
    assert found == (True, "the gate is off: whatever was trained is accepted")


# ── The model folder ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_accepted_adapter_is_found_again_with_its_bank():
    gate.write_model("iter1", "base", CANDIDATE, {"accepted": True})
    adapter = adapter_of(Path("models/iter1"), BASE)
    assert adapter == Path("models/iter1/adapter") and resolve(Path("models/iter1"), BASE) == (BASE, adapter)
    assert {f.name: f.read_bytes() for f in adapter.iterdir()} == {f.name: f.read_bytes() for f in CANDIDATE.iterdir()}
    assert bank_of("iter1") == read_records(TRAINING / "iter1/bank.parquet", Trace) and depth_of("iter1") == 1
    manifest = read_json(Path("models/iter1/model.json"))
    assert (manifest["model"], manifest["from"], manifest["accepted"]) == ("iter1", "base", True)


def test_an_iteration_that_kept_the_base_has_no_adapter_but_a_depth():
    gate.write_model("iter1", "base", None, {"accepted": False})
    assert adapter_of(Path("models/iter1"), BASE) is None and depth_of("iter1") == 1
    write_records(TRAINING / "iter2/bank.parquet", Trace, [])
    gate.write_model("iter2", "iter1", None, {"accepted": False})
    assert depth_of("iter2") == 2 and adapter_of(Path("models/iter2"), BASE) is None


def test_a_model_remembers_every_problem_that_led_to_it():
    """With banks that do not accumulate, the third adapter has been trained on the first one's traces as well."""
    for name, start, problems in (("iter1", "base", "ab"), ("iter2", "iter1", "bc"), ("iter3", "iter2", "d")):
        write_records(TRAINING / name / "bank.parquet", Trace, [trace(problem) for problem in problems])
        gate.write_model(name, start, CANDIDATE, {"accepted": True})
    assert [trained_problems(name) for name in ("base", "iter1", "iter2", "iter3")] == [
        set(), {"a", "b"}, {"a", "b", "c"}, {"a", "b", "c", "d"},
    ]  # fmt: skip
    assert {t.problem_id for t in bank_of("iter3")} == {"d"}


def test_the_model_of_an_earlier_run_is_replaced_as_a_whole():
    gate.write_model("iter1", "base", CANDIDATE, {"accepted": True})
    gate.write_model("iter1", "base", None, {"accepted": False})
    assert {file.name for file in Path("models/iter1").iterdir()} == {"model.json", "bank.parquet", "trained.json"}
    (TRAINING / "iter1/bank.parquet").unlink()
    with pytest.raises(UserError, match="no such file"):
        gate.write_model("iter1", "base", CANDIDATE, {"accepted": True})
    assert adapter_of(Path("models/iter1"), BASE) is None, "what was there stays when writing fails"


def test_an_adapter_of_another_base_is_refused():
    gate.write_model("iter1", "base", CANDIDATE, {"accepted": True})
    write_json(BASE / "config.json", {"the": "base, trained anew"})
    with pytest.raises(UserError, match="models/iter1: its adapter was trained on another base model"):
        adapter_of(Path("models/iter1"), BASE)


def test_weights_that_changed_on_disk_are_refused():
    gate.write_model("iter1", "base", CANDIDATE, {"accepted": True})
    weights = Path("models/iter1/adapter") / WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x00")
    with pytest.raises(UserError, match=r"the weights are not those that models/iter1/model\.json names; `dvc checkou"):
        adapter_of(Path("models/iter1"), BASE)


def test_a_model_that_is_not_there_is_not_taken_for_the_base():
    with pytest.raises(UserError, match=r"models/iter9/model\.json: no such file"):
        adapter_of(Path("models/iter9"), BASE)
    assert adapter_of(BASE, BASE) is None


# ── The stage ────────────────────────────────────────────────────────────────────────────────────────────────────────

DEV = [question(f"d{i:02}") for i in range(60)]
MASTERED = [question(f"m{i:02}") for i in range(20)]


class Backend:
    """Stands in for models: what an adapter of each strength gets right of dev, and of the mastered problems.

    Adapters change the tokens of the dev questions `changed` alone; an `adapter_served` not is left out by the server.
    """

    def __init__(self, dev, mastered=20, served_alike=True, changed=range(60), adapter_served=True):
        self.dev, self.mastered, self.served_alike, self.asked = dev, mastered, served_alike, []
        self.changed, self.adapter_served = {f"d{i:02}" for i in changed}, adapter_served

    def __call__(self, questions, prompt, setup, decoding, max_error_rate=0.0, keep_ids=False):
        assert setup.model == BASE and keep_ids and not max_error_rate
        strength = strength_of(setup.adapter) if setup.adapter else 0.0
        self.asked.append((strength, setup.backend, decoding.temperature, decoding.n))
        rows = []
        for i, q in enumerate(questions):
            right = i < (self.dev.get(strength, 30) if q.id[0] == "d" else self.mastered if strength else 20)
            garbled = setup.backend == "vllm" and not self.served_alike and i == 1
            text = f"ANSWER: {q.choices[0 if right else 1]}"
            heeded = q.id in self.changed and (self.adapter_served or setup.backend != "vllm")
            ids = (int(100 * strength * heeded), int(garbled))
            rows += [Rollout(q.id, k, text, "stop", 2, 2, completion_token_ids=ids) for k in range(decoding.n)]
        return rows, {}


def run(monkeypatch, backend, start="base", **settings):
    """Run the stage on iter1; its metrics."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["rest"]["gate"] |= GATE.model_dump() | {
        "scales": [0.25, 0.5, 1.0], "backend": "transformers", "retention_n": 2, "parity_questions": 5,
        "parity_share": 1.0,
    } | settings  # fmt: skip
    params["models"] = {
        "warm": {"from": "base", "method": "rest", "learning_rate": 1e-5},
        "iter1": {"from": start, "method": "rest", "learning_rate": 1e-5},
    }
    write_parameters(params)
    write_questions("dev", DEV)
    if not (TRAINING / "iter1/retention.jsonl").exists():
        write_jsonl(TRAINING / "iter1/retention.jsonl", map(to_dict, MASTERED))
    monkeypatch.setattr(asking, "answer_questions", backend)
    monkeypatch.setattr("sys.argv", ["gate", "--model", "iter1"])
    gate.main()
    return read_json(Path("metrics/training/gates/iter1.json"))


def test_the_best_strength_on_dev_becomes_the_model(monkeypatch, capsys):
    backend = Backend({0.25: 32, 0.5: 40, 1.0: 35})
    found = run(monkeypatch, backend)
    assert (found["accepted"], found["scale"], found["dev_before"], found["dev_after"]) == (True, 0.5, 0.5, 0.6667)
    assert [row["acc_strict"] for row in found["scales"]] == [0.5333, 0.6667, 0.5833]
    adapter = adapter_of(Path("models/iter1"), BASE)
    assert adapter and strength_of(adapter) == 0.5 and (adapter / CONFIG).is_file()
    assert found["parity"] == {"questions": 5, "agree": 1.0, "differ_from_base": 5}
    assert found["retention"]["n"] == 20 and found["retention"]["difference"] == 0
    assert [row for row in backend.asked if row[3] == 2] == [
        (0.0, "transformers", 0.8, 2),
        (0.5, "transformers", 0.8, 2),
    ]
    assert [row[:2] for row in backend.asked[-3:]] == [(0.5, "transformers"), (0.0, "transformers"), (0.5, "vllm")]
    assert "iter1 x 0.5: accepted: on dev +16.7 points" in capsys.readouterr().out


def test_among_equal_strengths_the_whole_one_is_taken(monkeypatch):
    assert run(monkeypatch, Backend({0.25: 40, 0.5: 40, 1.0: 40}))["scale"] == 1.0


def test_strengths_that_differ_little_do_not_collide(monkeypatch):
    found = run(monkeypatch, Backend({}), scales=[0.001, 0.004])
    assert [row["scale"] for row in found["scales"]] == [0.001, 0.004]


@pytest.mark.parametrize(
    ("backend", "reason"),
    [(Backend(dict.fromkeys((0.25, 0.5, 1.0), 27)), "on dev it may be worse"), (Backend({1.0: 40}, 12), "it forgets")],
    ids=["worse", "forgets"],
)
def test_a_rejected_candidate_leaves_the_model_it_started_from(monkeypatch, capsys, backend, reason):
    found = run(monkeypatch, backend)
    assert not found["accepted"] and found["scale"] is None and reason in found["reason"]
    assert adapter_of(Path("models/iter1"), BASE) is None and len(bank_of("iter1")) == 2
    assert {row[0] for row in backend.asked[-2:]} == {0.0}, "parity is tried with the model that is kept"
    assert found["parity"] == {"questions": 5, "agree": 1.0, "differ_from_base": 0}, "there is no adapter to be seen"
    assert "rejected, base is kept: " in capsys.readouterr().out


def test_a_rejected_candidate_leaves_its_predecessors_adapter(monkeypatch):
    write_adapter(Path("models/candidates/warm"), 7.0)
    write_records(TRAINING / "warm/bank.parquet", Trace, [])
    gate.write_model("warm", "base", Path("models/candidates/warm"), {"accepted": True})
    found = run(monkeypatch, Backend({7.0: 50}), start="warm")
    adapter = adapter_of(Path("models/iter1"), BASE)
    assert not found["accepted"] and adapter and strength_of(adapter) == 7.0
    assert found["dev"]["a"] == "warm" and found["dev_before"] == 0.8333 and depth_of("iter1") == 2


def test_without_a_gate_the_candidate_is_kept_and_still_measured(monkeypatch):
    found = run(monkeypatch, Backend({1.0: 10}), enabled=False, scales=[1.0])
    assert found["accepted"] and found["dev_after"] == 0.1667 and "the gate is off" in found["reason"]
    assert strength_of(Path("models/iter1/adapter")) == 1.0


def test_nothing_mastered_is_nothing_to_forget(monkeypatch):
    write_jsonl(TRAINING / "iter1/retention.jsonl", [])
    found = run(monkeypatch, Backend({1.0: 40}, mastered=0))
    assert found["accepted"] and found["retention"] is None


def assert_refused(found, start="base"):
    """The model that the model started from is kept, with its bank; dev was measured, and is told."""
    refused = found["refused"]
    assert (
        refused["stage"] == "training_gate" and found["reason"] == "; ".join(refused["reasons"]) and refused["ways_out"]
    )
    assert (found["accepted"], found["scale"], found["parity"]) == (False, None, None)
    assert found["dev_after"] is not None, "what was measured is told"
    kept, before = (adapter_identity(adapter_of(Path("models") / name, BASE)) for name in ("iter1", start))
    assert kept == before
    assert bank_of("iter1") == bank_of(start) and trained_problems("iter1") == trained_problems(start)
    assert depth_of("iter1") == depth_of(start) + 1


def test_a_candidate_that_the_server_answers_otherwise_than_the_trainer_is_refused(monkeypatch, capsys):
    assert_refused(run(monkeypatch, Backend({1.0: 40}, served_alike=False)))
    told = capsys.readouterr().err
    assert "REFUSED: iter1 is not trained (training_gate); it stays the model base" in told
    assert "different tokens for 1 of 5 questions (the first: d01, [100, 1] against [100, 0])" in told
    assert run(monkeypatch, Backend({1.0: 40}, served_alike=False), parity_share=0.8)["parity"]["agree"] == 0.8


def test_a_server_that_leaves_a_weak_adapter_out_is_found_on_the_questions_that_it_changes(monkeypatch, capsys):
    served = run(monkeypatch, Backend({1.0: 40}, changed=[13]))
    assert served["parity"] == {"questions": 15, "agree": 1.0, "differ_from_base": 1}
    assert_refused(run(monkeypatch, Backend({1.0: 40}, changed=[13], adapter_served=False)))
    assert "different tokens for 1 of 15 questions (the first: d13, [0, 0] against [100, 0])" in capsys.readouterr().err


def test_as_many_changed_answers_are_looked_for_as_the_share_would_not_forgive(monkeypatch, capsys):
    left_out = Backend({1.0: 40}, changed=[0, 7, 8], adapter_served=False)
    assert_refused(
        run(monkeypatch, left_out, parity_share=0.8)
    )  # of 5 questions it would forgive the one that is changed
    assert "different tokens for 3 of 10 questions" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("strength", "changed", "share"), [(0.0, 0, 1.0), (1.0, 0, 1.0), (1.0, 2, 0.9)], ids=["zeros", "none", "few"]
)
def test_an_adapter_that_changes_too_little_to_be_seen_is_refused(monkeypatch, capsys, strength, changed, share):
    shutil.rmtree(CANDIDATE)
    write_adapter(CANDIDATE, strength)
    backend = Backend({1.0: 40}, changed=range(18, 18 + changed) if strength else range(60))
    assert_refused(run(monkeypatch, backend, parity_share=share, epsilon=0.1))
    told = capsys.readouterr().err
    assert f"iter1: its adapter changes too little to tell whether it is served: {changed} of 60 greedy" in told
    assert f"parity_share {share:g} forgives as many" in told and "train it further" in told
    assert "vllm" not in {row[1] for row in backend.asked}


REFUSAL = {"stage": "training_check", "reasons": ["it is deaf", "nothing is learnt"], "ways_out": ["other clips"]}


def test_what_was_refused_before_keeps_the_predecessors_model_and_asks_nobody(monkeypatch, capsys):
    write_adapter(Path("models/candidates/warm"), 7.0)
    write_records(TRAINING / "warm/bank.parquet", Trace, [trace("w1")])
    gate.write_model("warm", "base", Path("models/candidates/warm"), {"accepted": True})
    shutil.rmtree(CANDIDATE)
    write_json(CANDIDATE / "refused.json", REFUSAL)
    backend = Backend({})
    found = run(monkeypatch, backend, start="warm")
    assert found["refused"] == REFUSAL and found["reason"] == "it is deaf; nothing is learnt"
    assert not found["accepted"] and found["dev"] is None and found["dev_before"] is None and not backend.asked
    assert strength_of(adapter_of(Path("models/iter1"), BASE)) == 7.0 and depth_of("iter1") == 2
    assert bank_of("iter1") == [trace("w1")] and trained_problems("iter1") == {"w1"}
    assert "iter1: refused by training_check" in capsys.readouterr().out


def test_fewer_dev_questions_than_asked_for_are_said(monkeypatch, capsys):
    found = run(monkeypatch, Backend({1.0: 40}), parity_questions=100)
    assert found["parity"]["questions"] == 60
    assert "gate.parity_questions is 100, and dev has 60 questions" in capsys.readouterr().out


def test_the_predecessor_must_be_there(monkeypatch, capsys):
    backend = Backend({})
    with pytest.raises(SystemExit):
        run(monkeypatch, backend, start="warm")
    assert "models/warm/model.json: no such file" in capsys.readouterr().err and not backend.asked
