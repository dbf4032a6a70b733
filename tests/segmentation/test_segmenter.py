from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ktse.config import Recipe, replace
from ktse.data.classes import Classes
from ktse.errors import InputError
from ktse.segmentation.segmenter import Segmenter, build_network
from ktse.types import SegmenterOutput

CLASSES = Classes(("cat", "dog"))
RECIPE = replace(Recipe(), segmentation={"scales": (0.5, 1.0, 1.5), "mirror": True})


class Painter(nn.Module):
    """Scores that are a formula of the image and of the place, at stride 2; they change when the image is mirrored."""

    def __init__(self) -> None:
        super().__init__()
        self.anchor = nn.Parameter(torch.zeros(1))

    def forward(self, images: Tensor) -> SegmenterOutput:
        small = images[:, :, ::2, ::2]
        ramp = torch.linspace(0, 1, small.shape[-1]).expand(small.shape[0], *small.shape[-2:])
        pre_logits = torch.stack([small[:, 0], small[:, 1] + ramp, small[:, 2] * 0.5], 1)
        return SegmenterOutput(pre_logits=pre_logits, logits=F.interpolate(pre_logits, images.shape[-2:]))


def slow_scores(image: np.ndarray, recipe: Recipe) -> Tensor:
    """One view after the other."""
    mean, std = torch.tensor(recipe.data.mean).view(3, 1, 1), torch.tensor(recipe.data.std).view(3, 1, 1)
    whole = (torch.from_numpy(image.copy()).permute(2, 0, 1) / 255 - mean) / std
    height, width = image.shape[:2]
    views = []
    for scale in recipe.segmentation.scales:
        size = (round(height * scale), round(width * scale))
        view = F.interpolate(whole[None], size=size, mode="bilinear", align_corners=False)
        for turned in (False, True):
            output = Painter()(torch.flip(view, [3]) if turned else view).pre_logits
            scores = F.interpolate(output, size=(height, width), mode="bilinear", align_corners=False).softmax(1)
            views.append(torch.flip(scores, [3]) if turned else scores)
    return torch.cat(views).mean(0).detach()


def segmenter(recipe: Recipe = RECIPE) -> Segmenter:
    return Segmenter(Painter(), CLASSES, recipe)  # type: ignore[arg-type] # stands for a network


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, shape, dtype=np.uint8)


def test_scores_are_the_mean_over_scales_and_mirrors() -> None:
    images = noise(2, 21, 34, 3)
    scores = segmenter().scores(images)
    expected = torch.stack([slow_scores(image, RECIPE) for image in images])
    torch.testing.assert_close(scores, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(scores.sum(1), torch.ones(2, 21, 34))


def test_prediction_is_the_label_of_largest_score() -> None:
    image = noise(16, 23, 3)
    labels = segmenter().predict(image)
    assert labels.dtype == np.uint8
    assert np.array_equal(labels, slow_scores(image, RECIPE).argmax(0).numpy())


def test_plain_recipe_has_one_view() -> None:
    image = noise(16, 24, 3)
    plain = replace(RECIPE, segmentation={"scales": (1.0,), "mirror": False})
    mean, std = np.array(RECIPE.data.mean, np.float32), np.array(RECIPE.data.std, np.float32)
    tensor = torch.from_numpy((np.float32(image) / 255 - mean) / std).permute(2, 0, 1)[None]
    output = Painter()(tensor).pre_logits
    expected = F.interpolate(output, (16, 24), mode="bilinear").softmax(1)
    torch.testing.assert_close(segmenter(plain).scores(image[None]), expected.detach(), rtol=1e-4, atol=1e-5)


def test_mirrored_image_has_mirrored_labels() -> None:
    image = noise(18, 24, 3)
    assert np.array_equal(segmenter().predict(image[:, ::-1]), segmenter().predict(image)[:, ::-1])


def test_many_classes_need_two_bytes() -> None:
    recipe = replace(
        Recipe(), segmentation={"trunk": "demo", "trunk_weights": None, "output_stride": 4, "aspp_dilations": (1,)}
    )
    classes = Classes(tuple(f"class {number}" for number in range(255)))
    network = build_network(recipe.segmentation, num_labels=classes.num_labels, weights=None)
    assert Segmenter(network, classes, recipe).predict(noise(8, 8, 3)).dtype == np.uint16


@pytest.mark.parametrize(
    "image",
    [noise(8, 8), noise(8, 8, 4), noise(8, 8, 3).astype(np.float32), noise(0, 8, 3)],
    ids=["grey", "alpha", "float", "empty"],
)
def test_other_images_are_refused(image: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"expected \(H, W, 3\) uint8"):
        segmenter().predict(image)
