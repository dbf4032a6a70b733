"""Random numbers that depend on where one is in the training, not on how one got there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def keyed_seed(random_seed: int, *place: int) -> int:
    """Return a 63-bit seed for a place such as (epoch, step, rank).

    The same place has the same seed in every run, so that a run that was stopped goes on as if it never had been.

    Example:
        >>> keyed_seed(1, 2, 3) == keyed_seed(1, 2, 3)
        True
        >>> keyed_seed(1, 2, 3) == keyed_seed(1, 3, 2)
        False
    """
    return int(np.random.SeedSequence([random_seed, *place]).generate_state(1, np.uint64)[0] >> 1)


@contextmanager
def private_torch_seed() -> Iterator[None]:
    """Give torch's global generators back as they were; dropout and initialisation know no other."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        yield
