from __future__ import annotations

import pytest
import torch

from ktse.nets.irnet import IRNet, build_irnet
from ktse.refinement.irn_batches import IrnBatch
from ktse.refinement.irn_task import IrnTask
from reference.affinity_oracle import irn_losses


@pytest.fixture
def irnet() -> IRNet:
    torch.manual_seed(0)
    return build_irnet("demo", "demo")


@pytest.fixture
def batch() -> IrnBatch:
    generator = torch.Generator().manual_seed(1)
    labels = torch.randint(0, 3, (2, 6, 7), generator=generator)
    labels[0, 2:4] = 255
    return IrnBatch(torch.randn(2, 3, 24, 28, generator=generator), labels)


def test_losses_are_those_of_the_equations(irnet: IRNet, batch: IrnBatch) -> None:
    losses = IrnTask(irnet, radius=3)(batch, 0.0)
    edge_logits, displacement = irnet(batch.images)
    expected = irn_losses(torch.sigmoid(edge_logits[:, 0]), displacement, batch.labels, 3)
    assert losses.terms.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(losses.terms[name], value, rtol=1e-5, atol=1e-6)
    positive, negative, foreground, background = expected.values()
    torch.testing.assert_close(losses.total, (positive + negative) / 2 + (foreground + background) / 2)


def test_all_of_the_branches_learn(irnet: IRNet, batch: IrnBatch) -> None:
    IrnTask(irnet, radius=3)(batch, 0.0).total.backward()
    for group in irnet.parameter_groups().values():
        assert all(parameter.grad is not None and parameter.grad.any() for parameter in group)


@pytest.mark.parametrize("ignore_index", [255, 65535])
def test_a_batch_without_labels_has_loss_zero_and_can_be_stepped(
    irnet: IRNet, batch: IrnBatch, ignore_index: int
) -> None:
    nothing = IrnBatch(batch.images, torch.full_like(batch.labels, ignore_index))
    losses = IrnTask(irnet, radius=3, ignore_index=ignore_index)(nothing, 0.0)
    losses.total.backward()
    assert [value.item() for value in (*losses.terms.values(), losses.total)] == [0.0] * 5
    assert not any(parameter.grad.any() for parameter in irnet.parameters() if parameter.grad is not None)


def test_affinities_are_not_taken_in_half_precision(irnet: IRNet, batch: IrnBatch) -> None:
    """An edge of 1e-3 less than 1 leaves an affinity that bfloat16 would round to 0."""
    with torch.no_grad():
        irnet.edge_merge.weight.zero_()
        irnet.edge_merge.bias.fill_(7.0)  # sigmoid(7) = 0.99909
    labels = torch.ones_like(batch.labels)
    with torch.autocast("cpu", torch.bfloat16):
        losses = IrnTask(irnet, radius=3)(IrnBatch(batch.images, labels), 0.0)
    affinity = 1 - torch.sigmoid(torch.tensor(7.0, dtype=torch.float64)).item()
    assert losses.terms["positive"].item() == pytest.approx(
        -torch.log(torch.tensor(affinity + 1e-5)).item() / 2, rel=1e-3
    )
    assert all(value.dtype == torch.float32 for value in losses.terms.values())
