"""Stage `base_model`: the model that everything starts from, in `models/base`.

`kind: tiny` trains a 1-2 M-parameter Qwen3-Omni thinker from scratch, imperfect on purpose; the folder is
servable by vLLM as it is. `kind: hub` writes a pointer, hub id and commit, and downloads the model into the hub's own
cache (HF_HOME), so that no server's start waits for it.

    python -m stages.base_model
"""

import argparse
import shutil
from collections.abc import Iterator
from itertools import count

import numpy as np
import torch
from dvclive.live import Live

from audio_reasoning.core.errors import UserError, stage_main
from audio_reasoning.core.files import atomic_dir, write_json
from audio_reasoning.core.hub import commit_of, fetch_model
from audio_reasoning.core.threads import limit_threads
from audio_reasoning.core.typed import Strict
from audio_reasoning.families.params import Model, Tiny
from audio_reasoning.families.qwen3_omni.checkpoint import POINTER, save_servable
from audio_reasoning.families.qwen3_omni.processor import AudioTextProcessor
from audio_reasoning.families.qwen3_omni.tiny import CONTEXT_TOKENS, new_feature_extractor, new_thinker
from audio_reasoning.families.qwen3_omni.tokenizer import train_tokenizer
from audio_reasoning.tasks.mini.corpus import Batches, instructions, pretraining_items, tokenizer_corpus
from audio_reasoning.training.loop import Batch, Plan, train
from audio_reasoning.training.loss import mean_loss
from stages.layout import BASE_MODEL, METRICS
from stages.params import load_params

CURVES = METRICS / "base_model"
_WARMUP_STEPS = 50
_DECAY_SHARE = 0.3


class Params(Strict):
    """What the stage reads."""

    model: Model


def learning_rate(step: int, tiny: Tiny) -> float:
    """Linear warm-up, a plateau, then a linear decay to 2 % of the peak.

    With a cosine the rate falls while the model has only begun to hear.
    """
    left = (tiny.steps - step) / (_DECAY_SHARE * tiny.steps)
    return tiny.learning_rate * min(1.0, (step + 1) / _WARMUP_STEPS) * (0.02 + 0.98 * min(1.0, left))


def pretrain(tiny: Tiny) -> None:
    """Train the tiny thinker and write it to `models/base`, its curves to `metrics/base_model`."""
    limit_threads()
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # costs a tenth of the time, changes no result
    prompts = instructions()
    items = pretraining_items(tiny.seed, tiny.questions, tiny.min_share)
    tokenizer = train_tokenizer(tokenizer_corpus(items, prompts), tiny.vocab_size, CONTEXT_TOKENS)
    extractor = new_feature_extractor()
    batches = Batches(items, AudioTextProcessor(tokenizer, extractor), prompts)
    model = new_thinker(tokenizer, tiny).train()
    model.set_experts_implementation("eager")  # a loop over four small experts beats a grouped product on a CPU
    optimizer = torch.optim.AdamW(model.parameters(), lr=tiny.learning_rate, betas=(0.9, 0.98), weight_decay=0.01)
    rng = np.random.default_rng(tiny.seed)
    plan = Plan(
        steps=tiny.steps,
        learning_rate=lambda step: learning_rate(step, tiny),
        max_grad_norm=1.0,
        row_steps=10,
        desc="pretraining",
        remedy="lower model.tiny.learning_rate",
    )
    with _curves() as live:
        live.log_metric("parameters", sum(p.numel() for p in model.parameters()), plot=False)
        for row in train(model, optimizer, lambda _: _drawn(batches, tiny, rng), mean_loss, plan):
            live.step = row.step  # the mean of the ten steps that end here
            live.log_metric("loss", row.loss)
    with atomic_dir(BASE_MODEL) as folder:
        save_servable(model.eval(), tokenizer, extractor, folder)


def _drawn(batches: Batches, tiny: Tiny, rng: np.random.Generator) -> Iterator[list[Batch]]:
    """One batch a step, without end."""
    for step in count():
        yield [batches.draw(tiny.batch_size, rng, first=step < tiny.short_share * tiny.steps)]


def point(model_id: str, revision: str) -> None:
    """Download a hub model, and write a pointer to it, its revision resolved to a commit, its configuration beside it.

    The stage's metrics and curves are empty then, but there: DVC wants every declared output.

    Raises UserError when the hub does not have it, or the disk no room for it.
    """
    commit = commit_of(model_id, revision, "model.revision")
    fetched = fetch_model(model_id, commit)
    if not (fetched / "config.json").is_file():
        raise UserError(f"{model_id}@{commit}: the repository holds no config.json, so it is no model to serve")
    with atomic_dir(BASE_MODEL) as folder:
        write_json(folder / POINTER, {"id": model_id, "revision": commit})
        shutil.copyfile(fetched / "config.json", folder / "config.json")
    with _curves():
        pass
    print(f"{BASE_MODEL}: {model_id} at {commit}")


def _curves() -> Live:
    """Where metrics and training curves go; the folder for curves is there even if nothing is logged."""
    (CURVES / "plots").mkdir(parents=True, exist_ok=True)
    return Live(str(CURVES), dvcyaml=None, report=None, save_dvc_exp=False, monitor_system=False)


@stage_main
def main() -> None:
    """Run the stage."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    model = load_params(Params, "model").model
    if model.kind == "tiny":
        assert model.tiny is not None
        pretrain(model.tiny)
    else:
        point(model.id, model.revision)


if __name__ == "__main__":
    main()
