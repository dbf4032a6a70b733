from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from ktse.errors import InputError
from ktse.nets.deeplab import SummedPyramid, build_deeplab


def test_head_is_the_sum_of_its_dilated_convolutions() -> None:
    head = SummedPyramid(5, 3, (1, 3)).double()
    features = torch.rand(2, 5, 7, 6, dtype=torch.float64)
    expected = torch.zeros(2, 3, 7, 6, dtype=torch.float64)
    for branch, dilation in zip(head.branches, (1, 3), strict=True):
        padded = F.pad(features, (dilation,) * 4)
        for row in range(3):
            for column in range(3):
                shifted = padded[:, :, row * dilation :, column * dilation :][:, :, :7, :6]
                expected += torch.einsum("bdhw,ld->blhw", shifted, branch.weight[:, :, row, column])
    torch.testing.assert_close(head(features), expected)


def test_head_starts_small_and_without_bias() -> None:
    torch.manual_seed(0)
    head = SummedPyramid(64, 21, (6, 12, 18, 24))
    for branch in head.branches:
        assert branch.weight.std().item() == pytest.approx(0.01, rel=0.05)
        assert (branch.bias == 0).all()


@pytest.mark.parametrize(
    ("trunk", "stride", "size"),
    [("demo", 4, (31, 45)), ("test_resnet", 8, (65, 33)), ("test_efficientnet", 16, (40, 64))],
    ids=["demo", "resnet", "efficientnet"],
)
def test_shapes_at_odd_sizes(trunk: str, stride: int, size: tuple[int, int]) -> None:
    net = build_deeplab(trunk, num_labels=4, output_stride=stride, dilations=(1, 2)).eval()
    output = net(torch.rand(2, 3, *size))
    assert output.logits.shape == (2, 4, *size)
    assert output.pre_logits.shape == (2, 4, -(-size[0] // stride), -(-size[1] // stride))
    torch.testing.assert_close(
        output.logits, F.interpolate(output.pre_logits, size=size, mode="bilinear", align_corners=False)
    )


def test_first_block_of_a_dilated_stage_has_the_full_dilation() -> None:
    network = build_deeplab("resnet26", num_labels=2, dilations=(1,)).trunk.network
    assert all(block.conv2.dilation == (2, 2) for block in network.layer3)
    assert all(block.conv2.dilation == (4, 4) for block in network.layer4)


def test_groups_hold_every_parameter_once() -> None:
    net = build_deeplab("demo", num_labels=3, output_stride=4, dilations=(1,))
    groups = net.parameter_groups()
    assert set(groups) == {"trunk", "head"}
    assert sorted(map(id, groups["trunk"] + groups["head"])) == sorted(map(id, net.parameters()))
    assert {id(parameter) for parameter in groups["head"]} == {id(parameter) for parameter in net.head.parameters()}


def test_gradient_reaches_trunk_and_head() -> None:
    net = build_deeplab("demo", num_labels=3, output_stride=4, dilations=(1, 2))
    F.cross_entropy(net(torch.rand(2, 3, 32, 32)).logits, torch.ones(2, 32, 32, dtype=torch.long)).backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in net.parameters())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_labels": 1}, "num_labels is 1"),
        ({"dilations": ()}, "no dilation"),
        ({"output_stride": 8}, "output stride 4, not 8"),
    ],
    ids=["labels", "dilations", "stride"],
)
def test_impossible_networks_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build_deeplab("demo", **{"num_labels": 3, "output_stride": 4, **arguments})  # type: ignore[arg-type]
