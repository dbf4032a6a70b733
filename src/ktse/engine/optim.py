"""Stochastic gradient descent with the poly schedule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The poly learning rate: `max(start * (1 - step / horizon) ** power, floor)`.

    Attributes:
        start: Learning rate at step 0.
        horizon: Step at which the rate would be 0; the training may end before it (REFERENCE 2.2).
        power: Power of the decay.
        floor: Smallest rate.

    Example:
        >>> Schedule(start=0.1, horizon=100, power=1.0).rate(50)
        0.05
    """

    start: float
    horizon: int
    power: float
    floor: float = 0.0

    def rate(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0 over the whole training."""
        left = max(0.0, 1.0 - step / max(1, self.horizon))
        rate: float = self.start * left**self.power
        return max(rate, self.floor)


def make_sgd(
    groups: Mapping[str, Sequence[nn.Parameter]], factors: Mapping[str, float], *, momentum: float, weight_decay: float
) -> torch.optim.SGD:
    """Build SGD with one group per name; `set_rate` multiplies the rate of each group by its factor.

    Args:
        groups: Name to parameters; groups without parameters are left out.
        factors: Name to factor on the learning rate, 1 where a name is missing.
        momentum: Momentum of SGD.
        weight_decay: Weight decay, on all parameters alike.
    """
    return torch.optim.SGD(
        [{"params": list(group), "factor": factors.get(name, 1.0)} for name, group in groups.items() if group],
        lr=0.0,
        momentum=momentum,
        weight_decay=weight_decay,
    )


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of each group to `rate` times the factor of the group."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["factor"]
