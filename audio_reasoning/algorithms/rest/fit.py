"""ReST's training: cross-entropy on the bank's traces, each by its weight (Gulcehre et al. 2023, arXiv 2308.08998)."""

from collections.abc import Sequence

from audio_reasoning.algorithms.algorithm import Fit, How, Policy
from audio_reasoning.core.rollouts import Trace
from audio_reasoning.training.adapter import batches_of, train_adapter
from audio_reasoning.training.dataset import Clips, Rows, padding_share


def fit(policy: Policy, bank: Sequence[Trace], how: How) -> Fit:
    """Train on length-bucketed batches of the whole bank; it goes on from `how.checkpoint` where that is there.

    Raises UserError for clips that have changed since they were sampled.
    """
    data = Rows(bank, Clips(policy.processor, policy.media_root), how.train.share_prompts)
    batches = batches_of(data, policy.processor, how.train, how.seed)
    record = {"rows": len(data), "padding_share": round(padding_share(data.lengths(), batches.indices), 4)}
    rows = train_adapter(policy.model, batches, how.train, how.learning_rate, how.checkpoint, how.checkpoint_steps)
    return Fit(batches.steps, record, rows)
