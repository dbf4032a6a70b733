from __future__ import annotations

import pytest
import torch
from torch import nn

from ktse.config import LocalizationSettings, Recipe, replace
from ktse.config.localization import LossWeights
from ktse.localization.cost import images_seen, localizer_cost

TINY = replace(
    Recipe(),
    localization={"trunk": "demo", "trunk_weights": None, "output_stride": 4, "head_width": 16, "crop_size": 32,
                  "warm_up_batch_size": 4, "batch_size": 4, "pairs": 2, "warm_up_epochs": 1, "epochs": 2},
    segmentation={"trunk_weights": None},
    runtime={"accelerator": "cpu"},
)  # fmt: skip


def test_images_seen_are_those_that_the_network_is_shown() -> None:
    """Counted by hand from the paper's Figure 2: anchor, erased anchor, pair, and a joint image of two."""
    settings = LocalizationSettings(batch_size=6, warm_up_batch_size=5, pairs=2, warm_up_epochs=1)
    assert images_seen(settings, epoch=0) == 5
    assert images_seen(settings, epoch=1) == 6 + 6 + 2 + 2 * 2
    off = dict.fromkeys(LossWeights.model_fields, 0.0)
    classification = settings.model_copy(update={"weights": LossWeights(**{**off, "classification": 1.0})})
    assert images_seen(classification, epoch=1) == 6
    cutmix = settings.model_copy(update={"join": "cutmix"})
    assert images_seen(cutmix, epoch=1) == 6 + 6 + 2 + 2


@pytest.mark.parametrize("join", ["stack", "cutmix"])
def test_twice_the_images_take_twice_the_time_and_the_same_memory(monkeypatch: pytest.MonkeyPatch, join: str) -> None:
    ticks = iter(range(1000))
    monkeypatch.setattr("ktse.localization.cost._now", lambda device: float(next(ticks)))  # a step takes one second
    recipe = replace(TINY, localization={"join": join})
    one, two = (localizer_cost(recipe, images=images, classes=3) for images in (8, 16))
    assert one.whole_step
    assert two.seconds == pytest.approx(2 * one.seconds)
    assert one.memory == two.memory
    seen = images_seen(recipe.localization, epoch=1)
    assert one.seconds == pytest.approx(2 * 4 / seen + 2)  # two steps of each phase; one of the second was timed


def test_what_would_take_too_long_is_extrapolated_from_one_image(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter(range(1000))
    monkeypatch.setattr("ktse.localization.cost._now", lambda device: float(next(ticks)))
    cost = localizer_cost(TINY, images=8, classes=3, patience=1.0)
    assert not cost.whole_step
    assert cost.seconds == pytest.approx(2 * 4 + 2 * images_seen(TINY.localization, epoch=1))


def test_both_ways_agree_on_memory_and_leave_no_trace() -> None:
    state = torch.random.get_rng_state()
    whole = localizer_cost(TINY, images=8, classes=3)
    extrapolated = localizer_cost(TINY, images=8, classes=3, patience=0.0)
    assert (whole.whole_step, extrapolated.whole_step) == (True, False)
    assert extrapolated.memory == pytest.approx(whole.memory, rel=0.5)
    assert torch.equal(state, torch.random.get_rng_state())


def test_kept_bytes_are_those_of_the_graph() -> None:
    """A linear layer keeps its input, and no parameter, for the gradient of its weight."""
    from types import SimpleNamespace

    from lightning_fabric import Fabric

    from ktse.localization.cost import _timed_step

    class Linear(nn.Linear):
        def forward(self, batch: torch.Tensor, epoch: int) -> SimpleNamespace:  # type: ignore[override]
            return SimpleNamespace(total=super().forward(batch).sum())

    _, kept = _timed_step(Linear(5, 3), torch.randn(7, 5), 0, Fabric(accelerator="cpu", devices=1))  # type: ignore[arg-type]
    assert kept == 7 * 5 * 4
