"""How many threads a model in this process computes with."""

import os

import torch

_MOST = 2


def limit_threads() -> None:
    """Compute with two threads, whatever the machine, or with one where only one core may be used.

    How a sum is split over threads decides its last digits, and training carries them on to other answers. With the
    machine's own number of cores, each machine would have results of its own; and a tiny model gains from no more.
    """
    torch.set_num_threads(min(_MOST, len(os.sched_getaffinity(0))))
