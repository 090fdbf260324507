"""Stage `rest_gate`: decide on dev whether a trained adapter becomes the iteration's model.

    python -m stages.rest.gate --iteration iter1

Tries the candidate at each strength of rest.gate.scales on dev and takes the best one. It is accepted if the
interval of its difference to the model it started from stays above -epsilon, unless accuracy on mastered problems
that it was not trained on falls by more than rest.gate.max_retention_loss with an interval below zero (a few dozen
problems cannot tell one point from chance); else the model it started from is kept. Then sees that the server and
the trainer's code write the same tokens with the model that was chosen.
Writes models/<iteration> and metrics/rest/gates/<iteration>.json.
"""

import argparse
import gc
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from stages.common.errors import UserError, stage_main
from stages.common.files import BASE_MODEL, QUESTIONS, atomic_dir, cache_dir, sha256_file, write_json
from stages.common.models import WEIGHTS, adapter_of, base_identity
from stages.common.params import Infer, Params, load_params
from stages.common.records import Comparison, Question, Response, read_questions, to_dict
from stages.common.rest_params import Gate
from stages.evaluate.reward import correct
from stages.evaluate.stats import compare_runs
from stages.infer.answer import answer_questions
from stages.model.lora import scale_adapter
from stages.prompt.registry import Prompt, load_prompt
from stages.rest.layout import CANDIDATES, DATA, REST_METRICS, depth_of, model_dir
from stages.serve.server import stop


@dataclass(frozen=True)
class Model:
    """What is asked: the base model with an adapter, or without."""

    name: str
    adapter: Path | None


@dataclass(frozen=True)
class Judge:
    """How models are asked in this stage."""

    params: Params
    prompt: Prompt

    def scores(self, model: Model, questions: Sequence[Question], temperature: float, n: int) -> list[float]:
        """The share of right samples of each question."""
        decoding = self._decoding(self.params.rest.gate.backend, temperature, n, self.params.rest.generate.max_tokens)
        responses = self._ask(model, questions, decoding)
        return [
            fmean(correct(question, response) for response in responses[i * n : (i + 1) * n])
            for i, question in enumerate(questions)
        ]

    def tokens(self, model: Model, questions: Sequence[Question], backend: str) -> list[tuple[int, ...]]:
        """Each question's greedy completion, as token ids."""
        limit = min(self.params.rest.gate.parity_tokens, self.params.rest.generate.max_tokens)
        responses = self._ask(model, questions, self._decoding(backend, 0.0, 1, limit))
        assert all(response.completion_token_ids for response in responses), f"{backend} gave no token ids"
        return [response.completion_token_ids or () for response in responses]

    def _ask(self, model: Model, questions: Sequence[Question], decoding: Infer) -> list[Response]:
        asking = self.params.model_copy(update={"infer": decoding})
        return answer_questions(questions, self.prompt, BASE_MODEL, asking, keep_ids=True, adapter=model.adapter)[0]

    def _decoding(self, backend: Any, temperature: float, n: int, max_tokens: int) -> Infer:
        return Infer(
            backend=backend,
            temperature=temperature,
            top_p=1.0 if temperature == 0 else self.params.rest.generate.top_p,
            max_tokens=max_tokens,
            n=n,
            seed=self.params.rest.seed,
            endpoint_model="",
            max_error_rate=0.0,
        )


def verdict(dev: Comparison, retention: Comparison | None, gate: Gate) -> tuple[bool, str]:
    """Whether the candidate is accepted, and why."""
    if not gate.enabled:
        return True, "the gate is off: whatever was trained is accepted"
    if dev.low < -gate.epsilon:
        return False, (
            f"on dev it may be worse by more than epsilon: {100 * dev.difference:+.1f} points "
            f"[{100 * dev.low:+.1f}, {100 * dev.high:+.1f}], epsilon {100 * gate.epsilon:.1f}"
        )
    if retention is not None and retention.difference < -gate.max_retention_loss and retention.high < 0:
        return False, (
            f"it forgets: {100 * retention.difference:+.1f} points on {retention.n} mastered problems "
            f"[{100 * retention.low:+.1f}, {100 * retention.high:+.1f}], "
            f"allowed are {-100 * gate.max_retention_loss:+.1f}"
        )
    return True, f"on dev {100 * dev.difference:+.1f} points [{100 * dev.low:+.1f}, {100 * dev.high:+.1f}]"


def strengths(judge: Judge, name: str, dev: Sequence[Question], folder: Path) -> dict[float, tuple[Model, list[float]]]:
    """The candidate at each scale, and its scores on dev."""
    tried = {}
    for scale in judge.params.rest.gate.scales:
        # The last folder names the model for the server; one of each scale, since their weights differ.
        adapter = folder / str(scale) / name
        adapter.mkdir(parents=True)
        scale_adapter(CANDIDATES / name, adapter, scale)
        model = Model(f"{name} x {scale:g}", adapter)
        tried[scale] = model, judge.scores(model, dev, 0.0, 1)
    return tried


def parity(judge: Judge, model: Model, questions: Sequence[Question]) -> dict[str, Any]:
    """Compare the greedy tokens of the served model with those of transformers and the adapter.

    Servers skip parts of an adapter that they do not know, and answer all the same; this is where it shows.
    Raises UserError when fewer agree than rest.gate.parity_share.
    """
    stop()  # a GPU cannot hold both
    here = judge.tokens(model, questions, "transformers")
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    served = judge.tokens(model, questions, "vllm")
    agree = [a == b for a, b in zip(here, served, strict=True)]
    if fmean(agree) < judge.params.rest.gate.parity_share:
        first = agree.index(False)
        raise UserError(
            f"{model.name}: the server and transformers write different tokens for {agree.count(False)} of "
            f"{len(agree)} questions (the first: {questions[first].id}, {list(served[first])[:12]} against "
            f"{list(here[first])[:12]}), so the adapter is not served as it was trained"
        )
    return {"questions": len(agree), "agree": round(fmean(agree), 4)}


def write_model(name: str, start: str, adapter: Path | None, record: dict[str, Any]) -> None:
    """Write the iteration's model folder: the adapter if there is one, its manifest, and the bank it was made from."""
    with atomic_dir(model_dir(name)) as folder:
        if adapter is not None:
            shutil.copytree(adapter, folder / "adapter")
        shutil.copyfile(DATA / name / "bank.parquet", folder / "bank.parquet")
        manifest = {
            "iteration": name,
            "from": start,
            "depth": depth_of(start) + 1,
            "base": base_identity(BASE_MODEL),
            "adapter": sha256_file(adapter / WEIGHTS) if adapter is not None else None,
            **record,
        }
        write_json(folder / "model.json", manifest)


@stage_main
def main() -> None:
    """Run the stage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--iteration", required=True, help="its name in rest.iterations")
    name = parser.parse_args().iteration
    params = load_params(
        "serve", "rest.gate", "rest.generate", "rest.prompt", "rest.seed", f"rest.iterations.{name}.from"
    )
    gate, start = params.rest.gate, params.rest.iterations[name].start
    judge = Judge(params, load_prompt(params.rest.prompt))
    dev = read_questions(QUESTIONS / "dev.jsonl")
    mastered = read_questions(DATA / name / "retention.jsonl")
    previous = Model(start, adapter_of(model_dir(start), BASE_MODEL))
    (cache_dir() / "gate").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_dir() / "gate") as folder:
        before = judge.scores(previous, dev, 0.0, 1)
        tried = strengths(judge, name, dev, Path(folder))
        scale = max(tried, key=lambda s: (fmean(tried[s][1]), s))  # the strongest among equals
        candidate, after = tried[scale]
        on_dev = compare_runs(start, candidate.name, before, after, [q.group for q in dev])
        on_mastered = None
        if mastered:
            temperature = params.rest.generate.temperature
            was, now = (judge.scores(m, mastered, temperature, gate.retention_n) for m in (previous, candidate))
            on_mastered = compare_runs(start, candidate.name, was, now, [q.group for q in mastered])
        accepted, reason = verdict(on_dev, on_mastered, gate)
        chosen = candidate if accepted else previous
        agreement = parity(judge, Model(name, chosen.adapter), dev[: gate.parity_questions])
        write_model(name, start, chosen.adapter, {"accepted": accepted, "scale": scale if accepted else None})
    write_json(
        REST_METRICS / "gates" / f"{name}.json",
        {
            "accepted": accepted,
            "scale": scale if accepted else None,
            "reason": reason,
            "dev_before": round(fmean(before), 4),
            "dev_after": round(fmean(after), 4),
            "dev": to_dict(on_dev),
            "retention": to_dict(on_mastered) if on_mastered else None,
            "scales": [{"scale": s, "acc_strict": round(fmean(scores), 4)} for s, (_, scores) in tried.items()],
            "parity": agreement,
        },
    )
    print(f"{candidate.name}: {'accepted' if accepted else f'rejected, {start} is kept'}: {reason}")


if __name__ == "__main__":
    main()
