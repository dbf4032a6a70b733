from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from ktse.errors import InputError
from ktse.nets.deeplab import SummedPyramid, build_deeplab
from ktse.nets.normalization import batch_norms, freeze_batch_norms
from ktse.nets.vgg16_head import VggPyramid
from reference.torchvision_vgg16 import write_file


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
    [("demo", 4, (31, 45)), ("test_resnet", 8, (65, 33)), ("test_efficientnet", 16, (40, 64)), ("vgg16", 8, (17, 41))],
    ids=["demo", "resnet", "efficientnet", "vgg16"],
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


def test_vgg16_has_the_branches_of_the_paper() -> None:
    with torch.device("meta"):
        head = build_deeplab("vgg16", num_labels=21, vgg_dropout=0.3).head
    assert isinstance(head, VggPyramid)
    assert [branch.get_submodule("fc6").dilation for branch in head.branches] == [(d, d) for d in (6, 12, 18, 24)]
    for branch in head.branches:
        widths = {name: tuple(tensor.shape) for name, tensor in branch.state_dict().items() if name.endswith("weight")}
        assert widths == {
            "fc6.weight": (1024, 512, 3, 3), "fc7.weight": (1024, 1024, 1, 1), "fc8.weight": (21, 1024, 1, 1)
        }  # fmt: skip
        assert branch.get_submodule("drop6").p == branch.get_submodule("drop7").p == 0.3


@pytest.mark.parametrize("subsampled", [False, True], ids=["random", "subsampled"])
def test_classifier_of_vgg16_is_taken_from_the_file_when_asked(tmp_path: Path, subsampled: bool) -> None:
    values = write_file(tmp_path / "vgg16.pth")
    net = build_deeplab(
        "vgg16", 2, tmp_path / "vgg16.pth", dilations=(6,), vgg_classifier="subsampled" if subsampled else "random"
    )
    assert (net.trunk.features[28].weight == values["features.28.weight"]).all()
    state = net.head.branches[0].state_dict()
    for name, place in (("fc6", 0), ("fc7", 3)):
        for part in ("weight", "bias"):
            assert (state[f"{name}.{part}"] == values[f"classifier.{place}.{part}"]).all() == subsampled
    assert state["fc8.weight"].std() > 0


def test_without_weights_there_is_nothing_to_sample_the_classifier_from() -> None:
    net = build_deeplab("vgg16", 2, None, dilations=(6,), vgg_classifier="subsampled")
    assert net.head.branches[0].get_submodule("fc6").weight.std().item() == pytest.approx(0.01, rel=0.01)


@pytest.mark.parametrize("trunk", ["demo", "test_efficientnet"])
def test_frozen_normalisation_stays_frozen_in_training(trunk: str) -> None:
    net = build_deeplab(trunk, num_labels=3, output_stride=None, dilations=(1,))
    freeze_batch_norms(net)
    assert net.train() is net
    before = {name: tensor.clone() for name, tensor in net.named_buffers()}
    F.cross_entropy(net(torch.rand(2, 3, 32, 32)).logits, torch.ones(2, 32, 32, dtype=torch.long)).backward()
    assert any(before)
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.named_buffers())
    assert all(parameter.grad is not None for group in net.parameter_groups().values() for parameter in group)
    held = {part for layer in batch_norms(net) for part in layer.modules()}  # timm's carry their activation
    assert {module for module in net.modules() if not module.training} == held


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
