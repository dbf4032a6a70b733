from __future__ import annotations

import copy
from dataclasses import replace
from typing import cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ktse.config import CoTrainingSettings
from ktse.engine.loop import split_batch
from ktse.nets.deeplab import build_deeplab
from ktse.nets.deeplab_pair import DeepLabPair, build_deeplab_pair
from ktse.nets.normalization import freeze_batch_norms
from ktse.segmentation.batches import CoTrainingBatch
from ktse.segmentation.co_training import CoTrainingTask, co_training_losses
from ktse.segmentation.mixing import (
    Labelling,
    MixedCrops,
    draw_mixing,
    mix_by_offline_labels,
    mix_by_online_labels,
)
from ktse.segmentation.photometric import apply_changes, draw_change
from ktse.types import LossTerms, SegmenterOutput
from reference import cotraining_oracle

NUM_LABELS = 4
SETTINGS = CoTrainingSettings(warm_up_epochs=1, online_threshold=0.3)
MEAN, STD = (0.5, 0.4, 0.3), (0.25, 0.2, 0.3)


class Table(nn.Module):
    """A network that says of a pixel what a table has for its red; it keeps what it was shown and in which mode."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.table = nn.Parameter(2 * torch.randn(NUM_LABELS, 3, generator=torch.Generator().manual_seed(seed)))
        self.shown: list[Tensor] = []
        self.modes: list[tuple[bool, bool]] = []

    def forward(self, images: Tensor) -> SegmenterOutput:
        self.shown.append(images.detach().clone())
        self.modes.append((self.training, torch.is_grad_enabled()))
        logits = torch.einsum("lc,bchw->blhw", self.table, images)
        return SegmenterOutput(pre_logits=logits, logits=logits)


class Tables(nn.Module):
    """A stand-in for DeepLabPair."""

    def __init__(self) -> None:
        super().__init__()
        self.network1, self.network2 = Table(1), Table(2)

    def forward(self, images: Tensor) -> SegmenterOutput:
        logits = (self.network1(images).logits + self.network2(images).logits) / 2
        return SegmenterOutput(pre_logits=logits, logits=logits)


def some_batch(pairs: int = 3, side: int = 16, *, seed: int = 0) -> CoTrainingBatch:
    generator = np.random.default_rng(seed)
    shape = (pairs, 2, side, side)
    labels = generator.integers(0, NUM_LABELS, shape)
    labels[0, 0] = 0  # an image without foreground
    labels[0, 1] = np.where(labels[0, 1] == 2, 2, 0)  # one with a single class
    mixing = [draw_mixing(NUM_LABELS, 0.7, generator) for _ in range(pairs)]
    changes = [[draw_change(SETTINGS, generator) for _ in range(2)] for _ in range(pairs)]
    return CoTrainingBatch(
        images=torch.from_numpy(generator.integers(0, 256, (pairs, 2, 3, side, side), np.uint8)),
        labels=torch.from_numpy(np.where(generator.random(shape) < 0.1, 255, labels)),
        trusted=torch.from_numpy(generator.random(shape) < 0.5),
        is_mixed=torch.from_numpy(np.stack([is_mixed for is_mixed, _ in mixing])),
        order=torch.from_numpy(np.stack([order for _, order in mixing])),
        changes=torch.from_numpy(np.array(changes)),
    )


def task_with(pair: nn.Module, settings: CoTrainingSettings = SETTINGS) -> CoTrainingTask:
    return CoTrainingTask(cast(DeepLabPair, pair), settings, mean=MEAN, std=STD).train()


def normalized(images: Tensor) -> Tensor:
    return (images - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]


def changed(mixed: MixedCrops, batch: CoTrainingBatch) -> Tensor:
    """What both networks have to be shown."""
    images = apply_changes(mixed.images.flatten(0, 1), batch.changes.flatten(0, 1), blur_sizes=SETTINGS.blur_sizes)
    return normalized(images)


def check_losses(losses: LossTerms, tables: Tables, shown: Tensor, mixed: MixedCrops) -> None:
    outputs = [network(shown).logits.detach().double().numpy() for network in (tables.network1, tables.network2)]
    slow = cotraining_oracle.co_training_losses(
        (outputs[0], outputs[1]),
        mixed.labels.flatten(0, 1).numpy(),
        mixed.trusted.flatten(0, 1).numpy(),
        mixed.boundary.flatten(0, 1).numpy(),
    )
    assert {name: term.item() for name, term in losses.terms.items()} == pytest.approx(slow, rel=1e-4)
    assert losses.total.item() == pytest.approx(sum(slow.values()), rel=1e-4)


def test_the_warm_up_mixes_by_offline_labels() -> None:
    tables, batch = Tables(), some_batch()
    losses = task_with(tables)(batch, 0.9)
    mixed = mix_by_offline_labels(
        batch.images / 255, Labelling(batch.labels, batch.trusted), batch.is_mixed, batch.order
    )
    (shown_1,), (shown_2,) = tables.network1.shown, tables.network2.shown
    assert torch.equal(shown_1, shown_2)
    assert torch.allclose(shown_1, changed(mixed, batch), atol=1e-6)
    assert tables.network1.modes == [(True, True)]
    check_losses(losses, tables, shown_1, mixed)


def test_after_the_warm_up_crops_are_mixed_by_what_both_networks_say_of_their_true_colours() -> None:
    tables, batch = Tables(), some_batch()
    losses = task_with(tables)(batch, 1.0)
    seen, shown = tables.network1.shown
    assert tables.network1.modes == tables.network2.modes == [(False, False), (True, True)]
    assert torch.allclose(seen, normalized(batch.images.flatten(0, 1) / 255), atol=1e-6)

    with torch.no_grad():
        logits = (tables.network1(seen).logits + tables.network2(seen).logits) / 2
    probability, labels = (value.reshape(3, 2, 16, 16) for value in logits.softmax(1).max(1))
    online = Labelling(labels, probability > SETTINGS.online_threshold)
    assert 0.1 < online.trusted.float().mean() < 1
    mixed = mix_by_online_labels(
        batch.images / 255, Labelling(batch.labels, batch.trusted), online, batch.is_mixed, batch.order
    )
    assert mixed.boundary.any()
    assert torch.allclose(shown, changed(mixed, batch), atol=1e-6)
    check_losses(losses, tables, shown, mixed)


def test_crops_of_a_pair_are_shown_beside_each_other() -> None:
    """The order of the published batch: first of a pair, second of a pair, next pair."""
    tables, batch = Tables(), some_batch()
    still = replace(batch, is_mixed=torch.zeros_like(batch.is_mixed), changes=torch.zeros_like(batch.changes))
    task_with(tables)(still, 0)
    expected = [batch.images[q, i] for q in range(3) for i in range(2)]
    assert torch.allclose(tables.network1.shown[0], normalized(torch.stack(expected) / 255), atol=1e-6)


def test_monitors_say_what_is_predicted_and_what_is_ignored() -> None:
    tables, batch = Tables(), some_batch()
    losses = task_with(tables)(batch, 0)
    shown = tables.network1.shown[0]
    shares = [
        (network(shown).logits.argmax(1) != 0).float().mean().item() for network in (tables.network1, tables.network2)
    ]
    assert losses.monitors["predicted_foreground"].item() == pytest.approx(sum(shares) / 2)
    assert 0.05 < losses.monitors["ignored"].item() < 0.15


def test_weights_of_the_settings() -> None:
    generator = torch.Generator().manual_seed(0)
    outputs = [torch.randn(2, NUM_LABELS, 8, 8, generator=generator, dtype=torch.float64) for _ in range(2)]
    labels = torch.randint(0, NUM_LABELS, (1, 2, 8, 8), generator=generator)
    trusted, boundary = (torch.rand(1, 2, 8, 8, generator=generator) < 0.5 for _ in range(2))
    settings = CoTrainingSettings(cross_weight=0.3, boundary_weight=0.5, cross_boundary_weight=0.7)
    losses = co_training_losses(*outputs, MixedCrops(torch.zeros(1), labels, trusted, boundary), settings)
    slow = cotraining_oracle.co_training_losses(
        (outputs[0].numpy(), outputs[1].numpy()), labels[0].numpy(), trusted[0].numpy(), boundary[0].numpy(),
        boundary_weight=0.5, cross_boundary_weight=0.7,
    )  # fmt: skip
    assert {name: term.item() for name, term in losses.terms.items()} == pytest.approx(slow)
    expected = slow["trusted_1"] + slow["trusted_2"] + 0.3 * (slow["cross_1"] + slow["cross_2"])
    assert losses.total.item() == pytest.approx(expected)


def test_the_losses_of_a_network_reach_it_alone() -> None:
    batch = some_batch()
    for number, name in ((1, "trusted_1"), (2, "trusted_2"), (1, "cross_1"), (2, "cross_2")):
        tables = Tables()
        task_with(tables)(batch, 0).terms[name].backward()
        gradients = [tables.network1.table.grad, tables.network2.table.grad]
        assert gradients[number - 1] is not None, name
        assert gradients[2 - number] is None, name


@pytest.fixture
def pair() -> DeepLabPair:
    torch.manual_seed(0)
    return build_deeplab_pair(lambda: build_deeplab("demo", NUM_LABELS, output_stride=4, dilations=(1, 2)))


@pytest.mark.parametrize("epoch", [0.0, 1.0], ids=["warm-up", "online"])
def test_parts_of_a_batch_give_the_losses_and_gradients_of_the_whole(pair: DeepLabPair, epoch: float) -> None:
    freeze_batch_norms(pair)
    task, batch = task_with(pair), some_batch(4)
    whole = task(batch, epoch)
    whole.total.backward()
    gradients = [parameter.grad.clone() for parameter in pair.parameters() if parameter.grad is not None]
    pair.zero_grad()
    total = 0.0
    for part in split_batch(batch, 2):
        loss = task(part, epoch).total / 2
        loss.backward()
        total += loss.item()
    assert total == pytest.approx(whole.total.item(), rel=1e-5)
    again = [parameter.grad for parameter in pair.parameters() if parameter.grad is not None]
    assert len(again) == len(gradients) > 10
    for one, other in zip(gradients, again, strict=True):
        assert torch.allclose(one, other, atol=1e-5)


def test_making_online_labels_leaves_no_trace_in_the_networks(pair: DeepLabPair) -> None:
    task, batch = task_with(pair), some_batch()
    task._online_labels(batch.images / 255)
    before = copy.deepcopy(pair.state_dict())
    task._online_labels(batch.images / 255)
    assert all(torch.equal(value, before[name]) for name, value in pair.state_dict().items())
    assert all(module.training for module in pair.modules())


def test_under_mixed_precision_every_weight_has_a_gradient_after_online_labels(pair: DeepLabPair) -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = task_with(pair)(some_batch(), 1.0)
    assert all(term.dtype == torch.float32 for term in losses.terms.values())
    losses.total.backward()
    assert [name for name, parameter in pair.named_parameters() if parameter.grad is None] == []


def test_two_networks_learn_a_batch_together(pair: DeepLabPair) -> None:
    task, batch = task_with(pair, CoTrainingSettings(warm_up_epochs=1, mix_probability=0.5)), some_batch(2)
    optimizer = torch.optim.SGD(pair.parameters(), lr=0.05, momentum=0.9)
    totals = []
    for step in range(12):
        losses = task(batch, step / 6)
        optimizer.zero_grad()
        losses.total.backward()
        optimizer.step()
        totals.append(losses.total.item())
    assert np.isfinite(totals).all()
    assert sum(totals[3:6]) < 0.95 * sum(totals[:3])
