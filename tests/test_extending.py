"""The snippets of docs/extending.md, as they stand there, through the real stages."""

import csv
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import yaml
from transformers import PreTrainedTokenizerFast

from audio_reasoning.core.files import read_json, read_jsonl, write_jsonl
from audio_reasoning.core.models import adapter_of
from audio_reasoning.core.plugins import load_object
from audio_reasoning.core.records import read_questions
from audio_reasoning.core.rollouts import Trace, write_records
from audio_reasoning.engines.engine import ENGINES
from audio_reasoning.families.family import family_of
from audio_reasoning.families.qwen3_omni.processor import AudioTextProcessor
from stages import acquire, answer, arms, check, questions, score, training_fit, training_gate
from stages.layout import TRAINING
from tests.training_project import BASE, ROOT, train_params
from tests.training_records import write_parameters

pytestmark = pytest.mark.slow

DOC = (ROOT / "docs/extending.md").read_text(encoding="utf-8")
SNIPPETS: dict[str, str] = dict(re.findall(r"```python\n# (\w+\.py)\n(.*?)```", DOC, re.DOTALL))
PARAMETERS = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", DOC, re.DOTALL)]
CALLS = {"cuckoo": (660.0, 520.0), "great grey owl": (200.0, 200.0), "wren": (3_000.0, 4_000.0)}
WHERE = [("train", 4), ("dev", 4), ("test", 6)]
RECORDING_S = 0.5
STEPS = 12


def call(first_hz: float, second_hz: float, seed: int) -> np.ndarray:
    """Two tones, one after the other, in noise."""
    t = np.arange(round(RECORDING_S * 22_050 / 2)) / 22_050
    tones = [0.4 * np.sin(2 * np.pi * hz * t) for hz in (first_hz, second_hz)]
    return np.concatenate(tones) + 0.01 * np.random.default_rng(seed).standard_normal(2 * len(t))


def write_recordings(folder: Path) -> None:
    folder.mkdir()
    with (folder / "birds.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file", "species", "split"])
        for split, count in WHERE:
            for i in range(count):
                species = sorted(CALLS)[i % 3]
                soundfile.write(folder / f"{split}{i}.wav", call(*CALLS[species], seed=10 * len(split) + i), 22_050)
                table.writerow([f"{split}{i}.wav", species, split])
        table.writerow(["lost.wav", "wren", "test"])


def write_base(folder: Path) -> None:
    """A tiny thinker of Qwen2.5-Omni, of random weights, saved by the snippet's family."""
    import torch
    from tokenizers import Tokenizer

    from audio_reasoning.families.qwen3_omni.tiny import new_feature_extractor
    from audio_reasoning.families.qwen3_omni.tokenizer import train_tokenizer

    from transformers import Qwen2_5OmniThinkerConfig, Qwen2_5OmniThinkerForConditionalGeneration  # isort: skip

    trained = train_tokenizer(["ANSWER: great grey owl", "Which bird calls? - cuckoo - wren"] * 5, 600, 4096)
    theirs = Tokenizer.from_str(trained.backend_tokenizer.to_str().replace("<|audio_pad|>", "<|AUDIO|>"))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=theirs, eos_token=trained.eos_token, pad_token=trained.pad_token
    )
    tokenizer.chat_template = trained.chat_template.replace("<|audio_pad|>", "<|AUDIO|>")
    ids = tokenizer.convert_tokens_to_ids
    config = Qwen2_5OmniThinkerConfig(
        audio_config={
            "encoder_layers": 1, "encoder_attention_heads": 2, "encoder_ffn_dim": 32, "d_model": 32, "output_dim": 32,
        },
        vision_config={
            "depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": 32,
            "fullatt_block_indexes": [0],
        },
        text_config={
            "vocab_size": 640, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
            "num_attention_heads": 2, "num_key_value_heads": 1, "tie_word_embeddings": False,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [4, 2, 2]},
        },
        audio_token_index=ids("<|AUDIO|>"),
        image_token_index=ids("<|image_pad|>"),
        video_token_index=ids("<|video_pad|>"),
        audio_start_token_id=ids("<|audio_start|>"),
        audio_end_token_id=ids("<|audio_end|>"),
        vision_start_token_id=ids("<|vision_start|>"),
    )  # fmt: skip
    torch.manual_seed(0)
    model = Qwen2_5OmniThinkerForConditionalGeneration(config).float()
    with torch.no_grad():  # with weights as small as they are made, what is heard decides nothing
        for weights in model.parameters():
            weights.mul_(8 if weights.dim() > 1 else 1)

    class Processor(AudioTextProcessor):
        audio_token = "<|AUDIO|>"

    folder.mkdir(parents=True)
    import_module("qwen2_5_omni").FAMILY.save(model, Processor(tokenizer, new_feature_extractor()), folder)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project with the documented files and parameters, recordings, and a base model of the documented family."""
    root = tmp_path_factory.mktemp("extended")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv("DVC_ROOT", str(root))
        patch.syspath_prepend(str(root))
        for name, text in SNIPPETS.items():
            (root / name).write_text(text, encoding="utf-8")
        (root / "prompts").symlink_to(ROOT / "prompts")
        write_recordings(root / "recordings")
        write_base(root / BASE)
        write_params()
        run_stage(acquire, "--source", "birds")
        run_stage(questions)
        yield root
        for name in SNIPPETS:
            sys.modules.pop(name.removesuffix(".py"), None)


def write_params(**changes: dict[str, Any]) -> None:
    """The working tree's parameters with what the document says, its engine aside, at micro size."""
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    documented = {group: value for one in PARAMETERS for group, value in one.items()}
    raw["data"] = documented["data"]
    raw["arms"] |= documented["arms"] | {"variants": ["baseline"], "kinds": ["reversed"]}
    raw["prompts"]["variants"] = raw["vote"]["variants"] = raw["judge"]["runs"] = ["baseline"]
    raw["headline"]["variant"] = raw["submission"]["run"] = "baseline"
    raw["infer"] |= {"backend": "transformers", "max_tokens": 8, "temperature": 0.0}
    raw["rest"] |= {
        "prompt": "baseline",
        "train": train_params(learning_rate_scale=600.0).model_dump(),
    }
    raw["training"]["eval_prompts"], raw["models"] = ["baseline"], documented["models"]
    raw["rest"]["gate"] |= {"enabled": False, "backend": "transformers", "scales": [1.0], "parity_questions": 4}
    raw["rest"]["generate"]["max_tokens"] = 8
    raw["models"]["climbed"]["options"]["steps"] = STEPS
    for group, values in changes.items():
        raw[group] |= values
    write_parameters(raw)


def run_stage(stage: Any, *arguments: str) -> None:
    """Run a stage's main with these arguments."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", [stage.__name__, *arguments])
        stage.main()


def texts(path: str) -> set[str]:
    return {row["text"] for row in read_jsonl(Path(path))}


@pytest.mark.parametrize("name", sorted(SNIPPETS))
def test_a_part_is_one_short_file(name: str) -> None:
    assert len(SNIPPETS) == 5 and SNIPPETS[name].count("\n") < 60


def test_every_documented_part_is_found_by_its_name(project: Path) -> None:
    named = {name for name in re.findall(r"\b\w+:\w+\b", DOC) if f"{name.partition(':')[0]}.py" in SNIPPETS}
    assert len(named) == 5 and all(load_object(name, "here") for name in named)
    assert check._part_problems(check.load_project()) == []


def test_the_task_brings_its_questions_and_names_what_it_had_to_leave_out(project: Path) -> None:
    for split, count in WHERE:
        made = read_questions(Path(f"data/questions/{split}.jsonl"))
        assert len(made) == count
        assert [question.choices[question.answer] for question in made] == [sorted(CALLS)[i % 3] for i in range(count)]
    [dropped] = read_json(Path("data/questions/manifest.json"))["dropped"]
    assert dropped["id"] == "bird_14" and "lost.wav" in dropped["why"]


def test_the_family_is_asked_in_this_process(project: Path) -> None:
    assert family_of(BASE).name == "qwen2_5_omni"
    run_stage(answer, "baseline")
    run_stage(score, "baseline")
    assert read_json(Path("metrics/scores/base/baseline.json"))["n"] == 6
    assert len(texts("data/answers/base/baseline.jsonl")) > 1, "it hears that clips differ"


def test_the_condition_is_a_control_arm(project: Path) -> None:
    run_stage(answer, "baseline")
    run_stage(answer, "baseline@reversed")
    run_stage(arms)
    found = read_json(Path("metrics/arms.json"))
    assert found["variants"]["baseline"]["reversed"].keys() >= {"acc"}
    asked, first = read_questions(Path("data/questions/test.jsonl")), Path("data/audio/_reversed")
    assert len(list(first.iterdir())) == 6
    plain, _ = soundfile.read(f"data/audio/{asked[0].audio.path}")
    backwards, _ = soundfile.read(first / f"{asked[0].audio.sha256}.flac")
    assert np.array_equal(plain[::-1], backwards)


def test_the_engine_scores_what_its_rule_gives(project: Path) -> None:
    try:
        write_params(infer={"backend": "longest:open_engine"}, code={"engine": "longest.py"})
        run_stage(answer, "baseline")
        run_stage(score, "baseline")
    finally:
        write_params()
    assert read_json(Path("data/answers/base/baseline.run.json"))["backend"]["backend"] == "longest"
    assert read_json(Path("metrics/scores/base/baseline.json"))["acc_strict"] == pytest.approx(2 / 6, abs=1e-4)


def test_the_algorithm_makes_a_model_that_the_gate_takes_and_that_is_asked_as_any_other(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_records(TRAINING / "climbed/bank.parquet", Trace, bank())
    write_jsonl(TRAINING / "climbed/retention.jsonl", [])
    (TRAINING.parent.parent / "metrics/training").mkdir(parents=True, exist_ok=True)
    Path("metrics/training/check_climbed.json").write_text("{}")
    run_stage(training_fit, "--model", "climbed")
    trained = read_json(Path("metrics/training/train_climbed.json"))
    assert (trained["traces"], trained["rows"], trained["steps"]) == (4, 4, STEPS)
    assert trained["loss_last"] < trained["loss_first"]
    # Parity is between transformers and the server, and no server is started here.
    monkeypatch.setitem(ENGINES, "vllm", ENGINES["transformers"])
    run_stage(training_gate, "--model", "climbed")
    assert read_json(Path("models/climbed/model.json"))["accepted"]
    assert adapter_of(Path("models/climbed"), BASE)
    run_stage(answer, "baseline")
    run_stage(answer, "climbed/baseline")
    assert texts("data/answers/climbed/baseline.jsonl") != texts("data/answers/base/baseline.jsonl")


def bank() -> list[Trace]:
    """A right trace for each train question."""
    processor, prompt = family_of(BASE).processor(BASE), training_gate.load_prompt("baseline", Path("prompts"))
    traces = []
    for question in read_questions(Path("data/questions/train.jsonl")):
        right = f"<think>A call.</think>\nANSWER: {question.choices[question.answer]}"
        samples, _ = soundfile.read(f"data/audio/{question.audio.path}", dtype="float32")
        asked = processor.encode(*prompt.render(question.question, question.choices), processor.features(samples))
        traces.append(
            Trace(
                problem_id=question.id,
                model="climbed",
                sample_index=0,
                pass_rate=0.5,
                weight=1.0,
                sub_category=question.sub_category,
                group=question.group,
                audio_path=question.audio.path,
                audio_sha256=question.audio.sha256,
                duration_s=question.audio.duration_s,
                text=right,
                prompt_token_ids=tuple(asked.ids),
                completion_token_ids=tuple(processor.tokenizer.encode(right + "<|im_end|>", add_special_tokens=False)),
            )
        )
    return traces
