"""The parameters of samples and votes, typed; `conf/evidence.yaml` documents them."""

from typing import Literal

from audio_reasoning.core.asked import Sampling
from audio_reasoning.core.run_names import VoteNames
from audio_reasoning.core.typed import Count, Strict


class Vote(VoteNames, Sampling):
    """Several samples a test question, and the answer that most of them give."""

    model_config = Strict.model_config

    trace: Literal["first", "median", "shortest"]
    max_trace_chars: Count
