from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ktse.segmentation.views import probabilities_of, resized_window, view_grids
from ktse.types import SegmenterOutput


class Painter(nn.Module):
    """Scores that are a formula of the image and of the place, at stride 2."""

    def forward(self, images: Tensor) -> SegmenterOutput:
        small = images[:, :, ::2, ::2]
        ramp = torch.linspace(0, 1, small.shape[-1]).expand(small.shape[0], *small.shape[-2:])
        pre_logits = torch.stack([small[:, 0], small[:, 1] + ramp], 1)
        return SegmenterOutput(pre_logits=pre_logits, logits=F.interpolate(pre_logits, images.shape[-2:]))


IMAGES = torch.rand(2, 3, 32, 48, generator=torch.Generator().manual_seed(3))


def published(images: Tensor) -> Tensor:
    """REFERENCE 6.5: the base image, and inputs rescaled to 0.75, 1 and 1.25; the largest on the base grid."""
    base = Painter()(images).pre_logits
    everything = [base]
    for scale in (0.75, 1.0, 1.25):
        view = F.interpolate(images, scale_factor=scale, mode="bilinear", align_corners=False)
        out = Painter()(view).pre_logits
        everything.append(F.interpolate(out, base.shape[-2:], mode="bilinear", align_corners=False))
    return torch.stack(everything).amax(0)


@pytest.mark.parametrize("scales", [(0.75, 1.0, 1.25), (1.25, 0.75, 1.0)], ids=str)
def test_largest_score_on_the_base_grid(scales: tuple[float, ...]) -> None:
    (merged,) = view_grids(Painter(), IMAGES, scales=scales, mirror=False, merge="max")
    torch.testing.assert_close(merged, published(IMAGES))


def test_mirror_images_are_mirrored_back() -> None:
    grids = view_grids(Painter(), IMAGES, scales=(1.0,), mirror=True, merge="mean")
    expected = Painter()(torch.flip(IMAGES, [3])).pre_logits.flip(3)
    assert len(grids) == 2
    assert torch.equal(grids[0], Painter()(IMAGES).pre_logits)
    assert torch.equal(grids[1], expected)
    (merged,) = view_grids(Painter(), IMAGES, scales=(1.0,), mirror=True, merge="max")
    assert torch.equal(merged, torch.maximum(grids[0], grids[1]))


def test_without_scale_1_the_nearest_has_the_grid() -> None:
    (merged,) = view_grids(Painter(), IMAGES, scales=(3.0, 0.5), mirror=False, merge="max")
    assert merged.shape == (2, 2, 8, 12)


def test_small_views_have_a_pixel() -> None:
    (grid,) = view_grids(Painter(), torch.zeros(1, 3, 1, 9), scales=(0.25,), mirror=False, merge="mean")
    assert grid.shape == (1, 2, 1, 1)


def test_probabilities_are_the_mean_of_the_softmax_at_full_size() -> None:
    grids = [torch.randn(1, 3, 4, 5), torch.randn(1, 3, 7, 2)]
    whole = probabilities_of(grids, (20, 30), slice(0, 20), slice(0, 30))
    expected = torch.stack(
        [F.interpolate(grid, (20, 30), mode="bilinear", align_corners=False).softmax(1) for grid in grids]
    ).mean(0)
    torch.testing.assert_close(whole, expected)
    part = probabilities_of(grids, (20, 30), slice(3, 11), slice(17, 30))
    torch.testing.assert_close(part, expected[..., 3:11, 17:30])


@pytest.mark.parametrize("size", [(40, 33), (9, 13), (4, 6), (1, 50)], ids=str)
def test_a_window_is_cut_out_of_the_resized_maps(size: tuple[int, int]) -> None:
    maps = torch.randn(2, 3, 4, 6, generator=torch.Generator().manual_seed(0))
    whole = F.interpolate(maps, size, mode="bilinear", align_corners=False)
    rng = np.random.default_rng(0)
    for _ in range(5):
        top, left = int(rng.integers(size[0])), int(rng.integers(size[1]))
        rows, columns = slice(top, top + 3), slice(left, left + 4)
        torch.testing.assert_close(resized_window(maps, size, rows, columns), whole[..., rows, columns])
