from __future__ import annotations

import pytest
import torch

from ktse.localization.erasing import erase, join_pairs, kept_region, paste_pairs
from ktse.ops.cam import Normalization

RAMP = torch.tensor([[[[0.0, 2.0, 5.0, 6.0, 10.0]]]])  # 0, 0.2, 0.5, 0.6 and 1 of its maximum


@pytest.mark.parametrize(
    ("threshold", "kept"),
    [
        (0.55, [True, True, True, False, False]),
        (0.9, [True, True, True, True, False]),
        (1.0, [True, True, True, True, True]),
        (0.1, [True, False, False, False, False]),
    ],
)
def test_what_reaches_the_threshold_is_erased(threshold: float, kept: list[bool]) -> None:
    assert kept_region(RAMP, torch.ones(1, 1), threshold=threshold).flatten().tolist() == kept


@pytest.mark.parametrize(("normalization", "kept"), [("min_max", [True, True, False]), ("max", [True, False, False])])
def test_the_minimum_counts_as_0_with_min_max_only(normalization: Normalization, kept: list[bool]) -> None:
    cam = torch.tensor([[[[4.0, 7.0, 10.0]]]])  # 0, 0.5, 1 of the span; 0.4, 0.7, 1 of the maximum
    region = kept_region(cam, torch.ones(1, 1), threshold=0.6, normalization=normalization)
    assert region.flatten().tolist() == kept


def test_absent_classes_erase_nothing() -> None:
    cam = torch.tensor([[[[9.0, 0.0, 0.0]], [[0.0, 0.0, 9.0]]]])
    assert kept_region(cam, torch.tensor([[1.0, 0.0]])).flatten().tolist() == [False, True, True]
    assert kept_region(cam, torch.ones(1, 2)).flatten().tolist() == [False, True, False]
    assert kept_region(cam, torch.zeros(1, 2)).all()


def test_each_image_has_its_own_region() -> None:
    cam = torch.stack([RAMP[0], RAMP[0].flip(-1)])
    region = kept_region(cam, torch.ones(2, 1))
    assert torch.equal(region[0], region[1].flip(-1))
    assert not torch.equal(region[0], region[1])


def test_erased_pixels_have_the_mean_colour() -> None:
    images = torch.arange(1.0, 25.0).view(1, 3, 2, 4)
    cam = torch.tensor([[[[0.0, 8.0]]]])  # on four columns: 0, 2, 6, 8
    expected = images.clone()
    expected[..., 2:] = 0
    assert torch.equal(erase(images, cam, torch.ones(1, 1)), expected)
    expected = images.clone()
    expected[..., 3] = 0
    assert torch.equal(erase(images, cam, torch.ones(1, 1), threshold=0.9), expected)


def test_no_gradient_through_the_mask() -> None:
    images = torch.ones(1, 3, 4, 4, requires_grad=True)
    cam = torch.rand(1, 2, 2, 2, generator=torch.Generator().manual_seed(0)).requires_grad_()
    erased = erase(images, cam, torch.ones(1, 2))
    torch.autograd.backward(erased.sum())
    assert cam.grad is None
    assert images.grad is not None
    assert torch.equal(images.grad, erased), "what is kept passes gradient, what is erased does not"


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (2, 4, 5)], ids=["images", "label maps"])
def test_the_pair_stands_below_the_anchor(shape: tuple[int, ...]) -> None:
    anchors, pairs = torch.zeros(shape, dtype=torch.long), torch.ones(shape, dtype=torch.long)
    joint = join_pairs(anchors, pairs)
    assert joint.shape == (*shape[:-2], 8, 5)
    assert not joint[..., :4, :].any()
    assert joint[..., 4:, :].all()


def test_pasting_follows_the_region_of_each_pair() -> None:
    anchors, pairs = torch.zeros(2, 3, 2, 2), torch.ones(2, 3, 2, 2)
    region = torch.zeros(2, 1, 2, 2, dtype=torch.bool)
    region[0, 0, 0, 1] = region[1, 0, 1, 0] = True
    pasted = paste_pairs(anchors, pairs, region)
    assert torch.equal(pasted, region.float().expand(-1, 3, -1, -1))


def test_pasting_labels_keeps_their_values() -> None:
    anchors, pairs = torch.full((1, 2, 2), 7), torch.full((1, 2, 2), 255)
    region = torch.tensor([[[[True, False], [False, False]]]])
    pasted = paste_pairs(anchors, pairs, region)
    assert pasted.dtype == torch.int64
    assert pasted.tolist() == [[[255, 7], [7, 7]]]


def test_the_region_goes_to_the_grid_of_the_cam_by_the_nearest_cell() -> None:
    region = torch.zeros(1, 1, 8, 8, dtype=torch.bool)
    region[..., 3:8, 0:5] = True
    pasted = paste_pairs(torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2), region)
    # cells of 4 pixels, whose centre pixel is number 2 of 0 to 3: rows and columns 2 and 6
    assert pasted.tolist() == [[[[0.0, 0.0], [1.0, 0.0]]]]
