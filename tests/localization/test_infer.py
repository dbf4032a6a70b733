from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ktse.artifacts import RunDirectory
from ktse.config import Recipe, replace
from ktse.data.shapes import Shapes
from ktse.engine.network_file import write_network
from ktse.errors import DataError
from ktse.localization.infer import infer_cams, localize, merge_views
from ktse.localization.train import build, localizer_file
from ktse.types import LocalizerOutput

RECIPE = replace(Recipe(), localization={"scales": (0.5, 1.0, 2.0), "cam_stride": 1, "mirror": True})


class Painter(nn.Module):
    """A localizer whose raw CAMs are a formula of its input, at stride 2; three classes, the last always negative."""

    def __init__(self) -> None:
        super().__init__()
        self.anchor = nn.Parameter(torch.zeros(1))

    def forward(self, images: Tensor) -> LocalizerOutput:
        small = images[:, :, ::2, ::2]
        ramp = torch.linspace(0, 1, small.shape[-1]).expand(small.shape[0], *small.shape[-2:])
        cam = torch.stack([small[:, 0], small[:, 1] * 0.5 + ramp, -1 - ramp], 1)
        return LocalizerOutput(cam_with_background=F.pad(cam, (0, 0, 0, 0, 1, 0)), logits=torch.zeros(len(images), 3))


def up(cams: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(cams[None], size=size, mode="bilinear", align_corners=False)[0]


def as_seeds(cams: Tensor, mirrored: Tensor, size: tuple[int, int]) -> Tensor:
    """REFERENCE 4.1: every view to the size of the image, clipped, turned back, added."""
    return up(cams, size).relu() + up(mirrored, size).relu().flip(-1)


def as_for_irn(cams: Tensor, mirrored: Tensor, size: tuple[int, int]) -> Tensor:
    """REFERENCE 5.1: the network itself adds the two views and clips; what it returns is resized."""
    return up((cams + mirrored.flip(-1)).relu(), size)


def slow_cams(
    image: np.ndarray, present: list[int], merge: Callable[[Tensor, Tensor, tuple[int, int]], Tensor]
) -> Tensor:
    """The references read aloud, one view after the other."""
    from PIL import Image

    mean, std = torch.tensor(RECIPE.data.mean).view(3, 1, 1), torch.tensor(RECIPE.data.std).view(3, 1, 1)
    height, width = image.shape[:2]
    total = torch.zeros(len(present), height, width)
    for scale in RECIPE.localization.scales:
        pixels = Image.fromarray(image).resize((round(width * scale), round(height * scale)), Image.Resampling.BICUBIC)
        view = (torch.from_numpy(np.array(pixels)).permute(2, 0, 1) / 255 - mean) / std
        cams, mirrored = (Painter()(v[None]).cam[0, present] for v in (view, view.flip(-1)))
        total += merge(cams, mirrored, (height, width))
    return total / (total.amax((1, 2), keepdim=True) + 1e-5)


@pytest.mark.parametrize(("name", "merge"), [("relu_then_sum", as_seeds), ("sum_then_relu", as_for_irn)])
def test_views_are_merged_as_published(name: str, merge: Callable[[Tensor, Tensor, tuple[int, int]], Tensor]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (21, 34, 3), dtype=np.uint8)
    recipe = replace(RECIPE, localization={"view_merge": name})
    cams = infer_cams(Painter().eval(), image[None], np.array([[True, True, True]]), recipe)[0]
    expected = slow_cams(image, [0, 1, 2], merge)
    torch.testing.assert_close(torch.from_numpy(np.asarray(cams.scores)), expected.detach(), rtol=1e-4, atol=1e-5)
    assert cams.scores[2].max() == 0, "a class that is negative everywhere has no CAM"
    assert cams.size == (21, 34)


def test_the_orders_of_merging_differ() -> None:
    def clipped_late(cams: Tensor, mirrored: Tensor, size: tuple[int, int]) -> Tensor:
        return (up(cams, size) + up(mirrored, size).flip(-1)).relu()

    image = np.random.default_rng(0).integers(0, 256, (21, 34, 3), dtype=np.uint8)
    seeds, irn = (slow_cams(image, [0], merge) for merge in (as_seeds, as_for_irn))
    assert (seeds - irn).abs().max() > 0.05
    assert (slow_cams(image, [0], clipped_late) - irn).abs().max() > 0.05, "clipping and resizing do not commute"


def test_absent_classes_are_left_out_and_the_grid_is_the_recipes() -> None:
    image = np.full((30, 41, 3), 200, np.uint8)
    recipe = replace(RECIPE, localization={"cam_stride": 4})
    cams = infer_cams(Painter().eval(), image[None], np.array([[False, True, False]]), recipe)[0]
    assert cams.present.tolist() == [1]
    assert cams.scores.shape == (1, 8, 11)
    none = infer_cams(Painter().eval(), image[None], np.zeros((1, 3), bool), recipe)[0]
    assert none.scores.shape == (0, 8, 11)


def test_a_mirrored_image_has_mirrored_cams() -> None:
    image = np.random.default_rng(1).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    tags = np.array([[True, True, False]] * 2)

    class Symmetric(Painter):
        def forward(self, images: Tensor) -> LocalizerOutput:
            cam = F.avg_pool2d(images, 2)
            return LocalizerOutput(
                cam_with_background=F.pad(cam, (0, 0, 0, 0, 1, 0)), logits=torch.zeros(len(images), 3)
            )

    one, other = infer_cams(Symmetric(), np.stack([image, image[:, ::-1]]), tags, RECIPE)
    np.testing.assert_allclose(one.scores, other.scores[:, :, ::-1], atol=1e-5)


def test_without_a_mirror_the_order_of_clipping_and_resizing_stays() -> None:
    cams = torch.tensor([[[[1.0, -1.0]]]])
    seeds, irn = (merge_views(cams, None, (1, 4), name) for name in ("relu_then_sum", "sum_then_relu"))
    torch.testing.assert_close(seeds[0, 0, 0], torch.tensor([1.0, 0.5, 0.0, 0.0]))
    torch.testing.assert_close(irn[0, 0, 0], torch.tensor([1.0, 0.75, 0.25, 0.0]))


class WithHole(Shapes):
    """Four drawings, of which one cannot be read until it is mended."""

    broken = True

    def image(self, index: int) -> np.ndarray:
        if self.broken and index == 1:
            raise DataError("image 1 is broken.")
        return super().image(index)


@pytest.fixture
def run(tmp_path: Path, tiny: Recipe) -> RunDirectory:
    """A run with an untrained localizer."""
    run = RunDirectory(tmp_path)
    write_network(localizer_file(run), build(tiny.localization, num_classes=7, weights="demo"), {})
    run.stage("localizer").finish("k", origin="k")
    return run


def test_an_image_that_cannot_be_read_does_not_stop_the_others(run: RunDirectory, tiny: Recipe) -> None:
    data = WithHole("train", count=4)
    with pytest.raises(DataError, match=r"1 of 4 images failed, the others are done\. image 1 is broken"):
        localize(data, tiny, run=run)
    assert run.stage("cams").done_ids() == {*data.ids} - {data.ids[1]}
    data.broken = False
    localize(data, tiny, run=run)
    assert run.stage("seeds").done_ids() == {*data.ids}


def test_a_damaged_file_is_named_and_deleting_it_helps(run: RunDirectory, tiny: Recipe) -> None:
    data = Shapes("train", count=4)
    localize(data, tiny, run=run)
    damaged = run.cams(data.ids[2])
    damaged.write_bytes(b"not a CAM file")
    other_seeds = replace(tiny, localization={"seed_threshold": 0.5})
    with pytest.raises(DataError, match=r"1 of 4 images failed.*Delete it and run localize again") as caught:
        localize(data, other_seeds, run=run)
    assert str(damaged) in str(caught.value)
    assert len(run.stage("seeds").done_ids()) == 3
    damaged.unlink()
    localize(data, other_seeds, run=run)
    assert len(run.stage("cams").done_ids()) == len(run.stage("seeds").done_ids()) == 4
