from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F

from ktse.nets.feature_taps import resnet38d_taps
from ktse.nets.irnet import IRNet, MeanShift, build_irnet, edges_of_image, on_grid
from ktse.nets.resnet38d import ResNet38d

TRUNKS = ("test_resnet", "demo", "test_convnext", "test_efficientnet", "mobilenetv3_small_050")


@pytest.fixture(scope="module")
def small() -> IRNet:
    torch.manual_seed(1)
    return build_irnet("test_resnet").eval()


@pytest.mark.parametrize(
    ("trunk", "size"),
    [
        *itertools.product(TRUNKS, [(64, 96), (65, 33), (47, 50)]),
        *[(trunk, (9, 3)) for trunk in TRUNKS if trunk != "test_convnext"],  # which takes nothing below its stride
    ],
    ids=str,
)
def test_grid_is_a_quarter_of_the_image(trunk: str, size: tuple[int, int]) -> None:
    edge_logits, displacement = build_irnet(trunk).eval()(torch.rand(2, 3, *size))
    grid = ((size[0] - 1) // 4 + 1, (size[1] - 1) // 4 + 1)
    assert edge_logits.shape == (2, 1, *grid)
    assert displacement.shape == (2, 2, *grid)


def test_resnet38d_as_trunk() -> None:
    net = IRNet(resnet38d_taps(ResNet38d(1 / 32)))
    edge_logits, displacement = net(torch.rand(1, 3, 33, 40))
    assert (edge_logits.shape, displacement.shape) == ((1, 1, 9, 10), (1, 2, 9, 10))


@pytest.mark.parametrize(
    ("own", "to", "size"), [(8, 4, 61), (16, 4, 70), (4, 4, 63), (2, 4, 65), (16, 8, 64), (32, 4, 65)], ids=str
)
def test_cells_stay_over_their_pixels(own: int, to: int, size: int) -> None:
    """A map that holds the position of its cells holds that of the new cells, but for those at the borders."""
    given, wanted = (torch.arange(0, size, stride) + stride / 2 for stride in (own, to))
    resized = on_grid(given.expand(1, 1, 1, -1), own / to, (1, len(wanted)))[0, 0, 0]
    assert len(resized) == len(wanted)
    inside = (wanted >= given[0]) & (wanted <= given[-1])
    assert inside.sum() > 1
    torch.testing.assert_close(resized[inside], wanted[inside])


def test_missing_last_cell_is_the_one_before() -> None:
    resized = on_grid(torch.tensor([[[[1.0, 3.0]]]]), 2, (1, 6))
    assert resized[0, 0, 0].tolist() == [1.0, 1.5, 2.5, 3.0, 3.0, 3.0]


def test_displacement_merges_the_coarse_taps_first() -> None:
    """Where no tap is coarser than the grid there is nothing to merge before."""
    assert build_irnet("demo").displacement_coarse is None
    coarse = build_irnet("test_convnext").displacement_coarse
    assert coarse is not None
    assert coarse[0].in_channels == 128 + 256 + 256  # of the taps with strides 8, 16 and 32


def test_published_numbers_of_parameters() -> None:
    with torch.device("meta"):
        groups = build_irnet("resnet50").parameter_groups()
    assert sum(parameter.numel() for parameter in groups["edge"]) == 125_409
    assert sum(parameter.numel() for parameter in groups["displacement"]) == 1_269_120


@pytest.mark.parametrize("trunk", TRUNKS)
def test_trunk_never_learns(trunk: str) -> None:
    net = build_irnet(trunk).train()
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
