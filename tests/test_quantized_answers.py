"""Answering with NF4 weights: by the real answering path in this process, and refused where it cannot be."""

from importlib import metadata
from pathlib import Path

import pytest
import torch

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.records import NO_AUDIO
from audio_reasoning.engines.answer import answer_questions
from audio_reasoning.engines.engine import Decoding, Setup, open_engine
from audio_reasoning.families.family import family_of
from audio_reasoning.families.qwen3_omni.quantization import quantization_report
from audio_reasoning.prompts.registry import load_prompt
from stages.compose import composed
from stages.project import load_project
from tests import tiny_thinker
from tests.pipeline import cached_answers
from tests.questions import question

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
QUESTIONS = [question(i, audio=NO_AUDIO, question=f"Which sound is heard, {'and now ' * i}?") for i in range(6)]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_thinker.save(tmp_path_factory.mktemp("models") / "base")


def setup(checkpoint: Path, work: Path, quantization: str, backend: str = "transformers", **other: object) -> Setup:
    params = load_project(path=ROOT / "params.yaml")
    serve = params.serve.model_copy(update={"quantization": quantization})
    values = {"adapter": None, "endpoint_model": "some-model"} | other
    return Setup(backend, checkpoint, serve=serve, runtime=params.runtime, media_root=work, work=work, **values)


def test_a_run_in_nf4_answers_under_keys_of_its_own(checkpoint: Path, tmp_path: Path) -> None:
    prompt = load_prompt("baseline", ROOT / "prompts")
    decoding = Decoding(temperature=0.0, top_p=1.0, max_tokens=8, n=1, seed=11)
    answers = {}
    for quantization in ("none", "nf4", "nf4"):
        responses, _ = answer_questions(
            QUESTIONS, prompt, setup(checkpoint, tmp_path, quantization), decoding, keep_ids=True
        )
        ids = [response.completion_token_ids for response in responses]
        assert all(ids) and answers.setdefault(quantization, ids) == ids
    assert cached_answers(tmp_path / "responses.sqlite") == 2 * len(QUESTIONS), "nf4 was asked once, and none apart"
    assert answers["none"] != answers["nf4"]


def test_what_the_engine_loads_is_nf4_smaller_and_almost_the_same(checkpoint: Path, tmp_path: Path) -> None:
    plain, quantized = (open_engine(setup(checkpoint, tmp_path, q))._load() for q in ("none", "nf4"))  # type: ignore[attr-defined]
    stored = {row["part"]: row["stored"] for row in quantization_report(quantized)}
    assert {part for part, kind in stored.items() if kind == "nf4"} == {"attention", "experts"}
    size = [sum(row["bytes"] for row in quantization_report(m) if row["part"] == "experts") for m in (plain, quantized)]
    assert size[1] < size[0] / 7
    processor = family_of(checkpoint).processor(checkpoint)
    inputs = processor.batch([processor.encode("Listen.", "Which sound is heard?", None)])
    with torch.inference_mode():
        exact, close = (m(**inputs).logits for m in (plain, quantized))
    assert not torch.equal(exact, close)
    assert (exact - close).norm() < 0.25 * exact.norm()


def test_plain_weights_keep_the_identity_they_had(checkpoint: Path, tmp_path: Path) -> None:
    plain, nf4 = (open_engine(setup(checkpoint, tmp_path, q)).identity for q in ("none", "nf4"))
    assert "quantization" not in plain
    assert nf4 == plain | {"quantization": "nf4", "bitsandbytes": metadata.version("bitsandbytes")}


@pytest.mark.parametrize(
    ("backend", "message"),
    [("vllm", r"vLLM .* has no method that makes NF4"), ("openai", "an endpoint chooses its own weights")],
)
def test_who_cannot_answer_in_nf4_says_so_before_anything_starts(
    checkpoint: Path, tmp_path: Path, backend: str, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        open_engine(setup(checkpoint, tmp_path, "nf4", backend))


def test_vllm_has_no_method_for_nf4() -> None:
    """Where this fails, the refusal has lost its reason."""
    from vllm.model_executor.layers.quantization import QUANTIZATION_METHODS

    assert "bitsandbytes" not in QUANTIZATION_METHODS


def test_an_adapter_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    with pytest.raises(UserError, match=r"adapter: serve\.quantization is nf4, but adapters"):
        open_engine(setup(checkpoint, tmp_path, "nf4", adapter=adapter))


def test_missing_bitsandbytes_is_told(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = metadata.version

    def version(name: str) -> str:
        if name == "bitsandbytes":
            raise metadata.PackageNotFoundError(name)
        return found(name)

    monkeypatch.setattr(metadata, "version", version)
    with pytest.raises(UserError, match="needs bitsandbytes, which is not installed"):
        open_engine(setup(checkpoint, tmp_path, "nf4"))
    assert open_engine(setup(checkpoint, tmp_path, "none")).identity


def test_an_unknown_value_is_told() -> None:
    from stages.project import parse_project

    with pytest.raises(UserError, match=r"serve\.quantization.*'none' or 'nf4'"):
        parse_project(composed(["serve.quantization=int4"]), "conf/")
