from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ktse.errors import WeightsError
from ktse.nets.vgg16_head import VggPyramid, load_subsampled_classifier, subsampled_classifier
from reference.torchvision_vgg16 import layout


def small_classifier(outputs: int = 16, channels: int = 3) -> dict[str, Tensor]:
    """The layout of VGG's classifier, narrow; every weight another number."""
    generator = torch.Generator().manual_seed(0)
    shapes = {0: (outputs, channels * 49), 3: (outputs, outputs)}
    return {
        f"classifier.{layer}.{part}": torch.rand(shape if part == "weight" else shape[:1], generator=generator)
        for layer, shape in shapes.items()
        for part in ("weight", "bias")
    }


def test_head_is_the_sum_of_its_branches() -> None:
    torch.manual_seed(0)
    head = VggPyramid(5, 3, (1, 3), width=4).double().eval()
    features = torch.rand(2, 5, 7, 6, dtype=torch.float64)
    expected = torch.zeros(2, 3, 7, 6, dtype=torch.float64)
    for branch, dilation in zip(head.branches, (1, 3), strict=True):
        state = branch.state_dict()
        padded = F.pad(features, (dilation,) * 4)
        seen = torch.zeros(2, 4, 7, 6, dtype=torch.float64)
        for row in range(3):
            for column in range(3):
                shifted = padded[:, :, row * dilation :, column * dilation :][:, :, :7, :6]
                seen += torch.einsum("bdhw,ld->blhw", shifted, state["fc6.weight"][:, :, row, column])
        seen = (seen + state["fc6.bias"].view(4, 1, 1)).clamp(min=0)
        seen = torch.einsum("bdhw,ld->blhw", seen, state["fc7.weight"][:, :, 0, 0]).clamp(min=0)
        expected += torch.einsum("bdhw,ld->blhw", seen, state["fc8.weight"][:, :, 0, 0])
    torch.testing.assert_close(head(features), expected)


@pytest.mark.parametrize("layer", [("fc6", "drop6"), ("fc7", "drop7")], ids=lambda pair: pair[0])
def test_dropout_follows_both_hidden_layers_in_training_only(layer: tuple[str, str]) -> None:
    torch.manual_seed(0)
    branch = VggPyramid(2, 3, (1,), width=64, dropout=0.25).branches[0]
    names = list(dict(branch.named_children()))
    assert names == ["fc6", "relu6", "drop6", "fc7", "relu7", "drop7", "fc8"]
    dropout = branch.get_submodule(layer[1])
    ones = torch.ones(10_000)
    assert (dropout(ones) == 0).double().mean().item() == pytest.approx(0.25, abs=0.02)
    dropout.eval()
    assert (dropout(ones) == 1).all()


def test_all_layers_begin_as_new_ones() -> None:
    torch.manual_seed(0)
    for name, parameter in VggPyramid(32, 21, (6, 12), width=64).named_parameters():
        if name.endswith("bias"):
            assert not parameter.any()
        else:
            assert parameter.std().item() == pytest.approx(0.01, rel=0.1)


def test_every_fourth_output_and_every_third_position() -> None:
    """Number by number, from the rule of DeepLab-LargeFOV."""
    state = small_classifier(outputs=16, channels=3)
    thinned = subsampled_classifier(state, channels=3, source="the test")
    assert thinned["fc6.weight"].shape == (4, 3, 3, 3)
    for output in range(4):
        assert thinned["fc6.bias"][output] == state["classifier.0.bias"][4 * output]
        assert thinned["fc7.bias"][output] == state["classifier.3.bias"][4 * output]
        for source in range(4):
            assert thinned["fc7.weight"][output, source, 0, 0] == state["classifier.3.weight"][4 * output, 4 * source]
        for channel in range(3):
            for row in range(3):
                for column in range(3):
                    place = channel * 49 + 3 * row * 7 + 3 * column  # torchvision flattens (D, 7, 7)
                    expected = state["classifier.0.weight"][4 * output, place]
                    assert thinned["fc6.weight"][output, channel, row, column] == expected


def test_thinned_layer_answers_like_the_full_one_where_only_kept_positions_speak() -> None:
    """On a 7 x 7 map that is zero but at the kept positions, fc6 with dilation 3 is every fourth output."""
    state = small_classifier()
    thinned = subsampled_classifier(state, channels=3, source="the test")
    cells = torch.zeros(1, 3, 7, 7)
    cells[..., ::3, ::3] = torch.rand(1, 3, 3, 3, generator=torch.Generator().manual_seed(1))
    full = F.linear(cells.flatten(1), state["classifier.0.weight"], state["classifier.0.bias"])
    answer = F.conv2d(cells, thinned["fc6.weight"], thinned["fc6.bias"], dilation=3)
    torch.testing.assert_close(answer.flatten(), full[0, ::4])


def test_real_sizes_give_the_layers_of_the_paper() -> None:
    with torch.device("meta"):
        state = {name: torch.empty(shape) for name, shape in layout().items()}
        head = VggPyramid(512, 21, (6, 12, 18, 24))
    thinned = subsampled_classifier(state, channels=512, source="the test")
    assert {name: tuple(tensor.shape) for name, tensor in thinned.items()} == {
        "fc6.weight": (1024, 512, 3, 3),
        "fc6.bias": (1024,),
        "fc7.weight": (1024, 1024, 1, 1),
        "fc7.bias": (1024,),
    }
    load_subsampled_classifier(head, state, source="the test")


def test_every_branch_gets_the_classifier_and_keeps_its_own_last_layer() -> None:
    head = VggPyramid(3, 2, (1, 2), width=4)
    last = [branch.get_submodule("fc8").weight.clone() for branch in head.branches]  # type: ignore[operator]
    thinned = subsampled_classifier(small_classifier(), channels=3, source="the test")
    load_subsampled_classifier(head, small_classifier(), source="the test")
    for branch, own in zip(head.branches, last, strict=True):
        state = branch.state_dict()
        assert all(torch.equal(state[name], tensor) for name, tensor in thinned.items())
        assert torch.equal(state["fc8.weight"], own)
    assert not torch.equal(last[0], last[1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classifier.3.bias": None}, r"has no classifier.3.bias. Give torchvision's whole vgg16"),
        ({"classifier.0.weight": torch.zeros(16, 100)}, r"does not see a map of \(3, 7, 7\)"),
        ({"classifier.0.bias": torch.tensor(1.0)}, r"does not see a map of .*\(\)"),
        ({"classifier.3.weight": torch.zeros(32, 16)}, "misfitting"),
    ],
    ids=["absent", "another map", "a number", "another width"],
)
def test_other_classifiers_are_refused(change: dict[str, Tensor | None], message: str) -> None:
    state = {name: value for name, value in (small_classifier() | change).items() if value is not None}
    with pytest.raises(WeightsError, match=message):
        load_subsampled_classifier(VggPyramid(3, 2, (1, 2), width=4), state, source="the test")
