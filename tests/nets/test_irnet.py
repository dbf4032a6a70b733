from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from ktse.nets.irnet import IRNet, MeanShift, build_irnet, edges_of_image


@pytest.fixture(scope="module")
def small() -> IRNet:
    torch.manual_seed(1)
    return build_irnet("test_resnet").eval()


@pytest.mark.parametrize("size", [(64, 96), (65, 33), (47, 50)], ids=str)
def test_grid_is_a_quarter_of_the_image(small: IRNet, size: tuple[int, int]) -> None:
    edge_logits, displacement = small(torch.rand(2, 3, *size))
    grid = (-(-size[0] // 4), -(-size[1] // 4))
    assert edge_logits.shape == (2, 1, *grid)
    assert displacement.shape == (2, 2, *grid)


def test_published_numbers_of_parameters() -> None:
    with torch.device("meta"):
        groups = build_irnet("resnet50").parameter_groups()
    assert sum(parameter.numel() for parameter in groups["edge"]) == 125_409
    assert sum(parameter.numel() for parameter in groups["displacement"]) == 1_269_120


def test_trunk_never_learns() -> None:
    net = build_irnet("test_resnet").train()
    before = {name: tensor.clone() for name, tensor in net.trunk.state_dict().items()}
    edge_logits, displacement = net(torch.rand(2, 3, 64, 64))
    (edge_logits.sum() + displacement.square().sum()).backward()
    assert not any(module.training for module in net.trunk.modules())
    assert all(torch.equal(before[name], tensor) for name, tensor in net.trunk.state_dict().items())
    assert all(parameter.grad is None for parameter in net.trunk.parameters())
    assert all(parameter.grad is not None for group in net.parameter_groups().values() for parameter in group)


def test_mean_shift_acts_in_evaluation_only() -> None:
    shift = MeanShift()
    shift.running_mean.copy_(torch.tensor([1.0, -2.0]))
    displacement = torch.zeros(1, 2, 2, 2)
    assert torch.equal(shift.train()(displacement), displacement)
    assert shift.eval()(displacement)[0, :, 0, 0].tolist() == [-1.0, 2.0]


def test_edges_of_image_are_the_mean_of_both_views(small: IRNet) -> None:
    image = torch.rand(3, 40, 50)
    edge, displacement = edges_of_image(small, image, canvas=64)
    upright, shown = small(F.pad(image[None], (0, 14, 0, 24)))
    mirrored, _ = small(F.pad(image[None].flip(-1), (0, 14, 0, 24)))
    expected = torch.sigmoid((upright[0, :, :10, :13] + mirrored[0, :, :10, :13].flip(-1)) / 2)
    torch.testing.assert_close(edge, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(displacement, shown[0, :, :10, :13], rtol=1e-4, atol=1e-5)


def test_image_beyond_the_canvas_is_not_cut(small: IRNet) -> None:
    edge, displacement = edges_of_image(small, torch.rand(3, 70, 30), canvas=64)
    assert edge.shape == (1, 18, 8)
    assert displacement.shape == (2, 18, 8)
