from __future__ import annotations

import pytest
import torch
from torch import nn

from ktse.engine.optim import Schedule, make_sgd, set_rate


@pytest.mark.parametrize(
    ("step", "factor"),
    [(0, 1.0), (13_220, 0.7719), (33_050, 0.4136), (52_880, 0.0), (60_000, 0.0)],
    ids=["start", "after warm-up", "published end", "horizon", "beyond"],
)
def test_poly_schedule_has_the_published_values(step: int, factor: float) -> None:
    """Factors of REFERENCE 2.2: 33,050 steps on a horizon of 52,880."""
    schedule = Schedule(start=1.0, horizon=52_880, power=0.9)
    assert schedule.rate(step) == pytest.approx(factor, abs=5e-5)


def test_floor_is_never_undercut() -> None:
    schedule = Schedule(start=0.1, horizon=10, power=0.9, floor=1e-5)
    assert schedule.rate(10) == 1e-5


def test_groups_follow_their_factors_and_empty_ones_are_left_out() -> None:
    a, b = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
    optimizer = make_sgd({"trunk": [a], "head": [b], "none": []}, {"head": 10.0}, momentum=0.9, weight_decay=0.1)
    set_rate(optimizer, 0.5)
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 5.0]


def test_step_is_plain_sgd_with_weight_decay() -> None:
    weight = nn.Parameter(torch.tensor([2.0]))
    optimizer = make_sgd({"all": [weight]}, {}, momentum=0.5, weight_decay=0.1)
    set_rate(optimizer, 0.1)
    values, velocity = [2.0], 0.0
    for _ in range(3):
        optimizer.zero_grad()
        (3.0 * weight).sum().backward()
        optimizer.step()
        velocity = 0.5 * velocity + (3.0 + 0.1 * values[-1])
        values.append(values[-1] - 0.1 * velocity)
    assert weight.item() == pytest.approx(values[-1], rel=1e-6)
