from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from ktse.config import CrfSettings, Recipe, replace
from ktse.data.classes import Classes
from ktse.errors import InputError
from ktse.nets.deeplab import DeepLab
from ktse.nets.deeplab_pair import DeepLabPair
from ktse.ops.dense_crf import dense_crf
from ktse.recipes.components import PLAIN
from ktse.segmentation import segmenter as module
from ktse.segmentation.segmenter import Segmenter, build_network
from ktse.types import SegmenterOutput

CLASSES = Classes(("cat", "dog"))
RECIPE = replace(Recipe(), segmentation={**PLAIN, "scales": (0.5, 1.0, 1.5), "mirror": True})
PUBLISHED = replace(Recipe(), segmentation={"inference_size": 32, "use_crf": False})
SMALL = {"trunk": "demo", "trunk_weights": None, "output_stride": 4, "aspp_dilations": (1,)}


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


class PointWise(nn.Module):
    """Scores of a pixel that depend on nothing but its colour: the same in every tile."""

    def __init__(self) -> None:
        super().__init__()
        self.anchor = nn.Parameter(torch.zeros(1))

    def forward(self, images: Tensor) -> SegmenterOutput:
        return SegmenterOutput(pre_logits=images * 2, logits=images * 2)


def segmenter(recipe: Recipe = RECIPE, network: nn.Module | None = None) -> Segmenter:
    return Segmenter(network or Painter(), CLASSES, recipe)  # type: ignore[arg-type] # stands for a network


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, shape, dtype=np.uint8)


def normalized(image: np.ndarray, recipe: Recipe) -> Tensor:
    mean, std = torch.tensor(recipe.data.mean).view(3, 1, 1), torch.tensor(recipe.data.std).view(3, 1, 1)
    return ((torch.from_numpy(image.copy()).permute(2, 0, 1) / 255 - mean) / std)[None]


def resized(maps: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(maps, size=size, mode="bilinear", align_corners=False)


def slow_scores(image: np.ndarray, recipe: Recipe) -> Tensor:
    """One view after the other, their probabilities averaged."""
    views = enlarged_views(image, recipe, (image.shape[0], image.shape[1]))
    return torch.cat([view.softmax(1) for view in views]).mean(0).detach()


def enlarged_views(image: np.ndarray, recipe: Recipe, size: tuple[int, int]) -> list[Tensor]:
    """Return the scores of each view and its mirror, turned back, at a size."""
    height, width = image.shape[:2]
    views = []
    for scale in recipe.segmentation.scales:
        view = resized(normalized(image, recipe), (round(height * scale), round(width * scale)))
        views.append(resized(Painter()(view).pre_logits, size))
        mirrored = Painter()(torch.flip(view, [3])).pre_logits
        views.append(resized(torch.flip(mirrored, [3]), size))
    return views


def slow_published(image: np.ndarray, recipe: Recipe) -> Tensor:
    """REFERENCE 6.5: a square; base and three scales, the largest on the base grid; back to the image; softmax."""
    side = recipe.segmentation.inference_size
    square = np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BILINEAR))
    base = normalized(square, recipe)
    grid = Painter()(base).pre_logits
    others = [
        resized(Painter()(resized(base, (side * percent // 100,) * 2)).pre_logits, grid.shape[-2:])
        for percent in (75, 100, 125)
    ]
    return resized(torch.stack([grid, *others]).amax(0), image.shape[:2]).softmax(1)[0].detach()


def test_scores_are_the_mean_over_scales_and_mirrors() -> None:
    images = noise(2, 21, 34, 3)
    scores = segmenter().scores(images)
    expected = torch.stack([slow_scores(image, RECIPE) for image in images])
    torch.testing.assert_close(scores, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(scores.sum(1), torch.ones(2, 21, 34))


@pytest.mark.parametrize("size", [(21, 34), (60, 45)], ids=["enlarged to the square", "shrunk to the square"])
def test_published_views(size: tuple[int, int]) -> None:
    image = noise(*size, 3)
    scores = segmenter(PUBLISHED).scores(image[None])[0]
    # the square has whole grey levels, which two libraries round differently
    torch.testing.assert_close(scores, slow_published(image, PUBLISHED), rtol=0, atol=0.01)


def test_prediction_is_the_label_of_largest_score() -> None:
    image = noise(16, 23, 3)
    labels = segmenter().predict(image)
    assert labels.dtype == np.uint8
    assert np.array_equal(labels, slow_scores(image, RECIPE).argmax(0).numpy())


def test_plain_recipe_has_one_view() -> None:
    image = noise(16, 24, 3)
    plain = replace(RECIPE, segmentation=PLAIN | {"mirror": False})
    expected = resized(Painter()(normalized(image, plain)).pre_logits, (16, 24)).softmax(1)
    torch.testing.assert_close(segmenter(plain).scores(image[None]), expected.detach(), rtol=1e-4, atol=1e-5)


def test_a_large_image_is_seen_reduced_and_its_scores_are_enlarged() -> None:
    image, tiled = noise(42, 68, 3), {"tile_size": 64, "tile_overlap": 16}
    both = segmenter(replace(RECIPE, data={"longest_side": 34}, segmentation=tiled))
    reduced = np.asarray(Image.fromarray(image).resize((34, 21), Image.Resampling.BICUBIC))
    views = [view.softmax(1) for view in enlarged_views(reduced, RECIPE, (42, 68))]
    expected = torch.cat(views).mean(0).detach()
    torch.testing.assert_close(both.scores(image[None])[0], expected, rtol=1e-4, atol=1e-5)
    assert len(list(both.pieces(image[None]))) == 2
    torch.testing.assert_close(both.scores(reduced[None]), segmenter().scores(reduced[None]), rtol=0, atol=0)


@pytest.mark.parametrize("changes", [{}, {"inference_size": 32}], ids=["own size", "square"])
def test_mirrored_image_has_mirrored_labels(changes: dict[str, Any]) -> None:
    image, both = noise(18, 24, 3), segmenter(replace(RECIPE, segmentation=changes))
    assert np.array_equal(both.predict(image[:, ::-1]), both.predict(image)[:, ::-1])


def test_tiles_of_a_network_that_looks_at_single_pixels_are_as_the_whole() -> None:
    image = noise(150, 230, 3)
    plain = replace(RECIPE, segmentation={"scales": (1.0,), "mirror": False})
    tiled = replace(plain, segmentation={"tile_size": 64, "tile_overlap": 16})
    whole = segmenter(plain, PointWise()).scores(image[None])
    torch.testing.assert_close(segmenter(tiled, PointWise()).scores(image[None]), whole)
    assert len(list(segmenter(tiled, PointWise()).pieces(image[None]))) == 3 * 5


def test_square_views_are_enlarged_tile_by_tile_to_the_same() -> None:
    image = noise(150, 230, 3)
    tiled = replace(PUBLISHED, segmentation={"tile_size": 64, "tile_overlap": 16})
    whole = segmenter(PUBLISHED).scores(image[None])
    torch.testing.assert_close(segmenter(tiled).scores(image[None]), whole)
    assert np.array_equal(segmenter(tiled).predict(image), whole[0].argmax(0).numpy())


def test_seams_of_a_real_network_do_not_show() -> None:
    """Probabilities change nowhere much faster than without tiles; with tiles side by side it would be 6 times."""
    tiles = {"tile_size": 96, "tile_overlap": 32}
    recipe = replace(RECIPE, segmentation={**SMALL, **tiles, "scales": (1.0,), "mirror": False})
    torch.manual_seed(0)
    network = build_network(recipe.segmentation, num_labels=3, weights="demo")
    image = np.asarray(Image.fromarray(noise(12, 16, 3)).resize((240, 180), Image.Resampling.BICUBIC))
    in_tiles = segmenter(recipe, network).scores(image[None])[0]
    whole = segmenter(replace(recipe, segmentation={"tile_size": 512}), network).scores(image[None])[0]
    assert (in_tiles - whole).abs().max() > 0.01, "the network sees less in a tile"
    for axis in (1, 2):
        fastest, fastest_of_whole = (
            maps.diff(dim=axis).abs().mean(0).mean(2 - axis).max() for maps in (in_tiles, whole)
        )
        assert fastest <= 2 * fastest_of_whole


class Recorder:
    """Stands for the CRF: notes what it gets, and turns the labels round."""

    def __init__(self) -> None:
        self.calls: list[tuple[np.ndarray, Tensor, CrfSettings]] = []

    def __call__(self, image: np.ndarray, scores: Tensor, settings: CrfSettings) -> Tensor:
        self.calls.append((image.copy(), scores.clone(), settings))
        return scores.flip(0)


@pytest.mark.parametrize("crf_image", ["original", "wrapped"])
def test_the_crf_sees_image_and_probabilities_and_has_the_last_word(
    monkeypatch: pytest.MonkeyPatch, crf_image: str
) -> None:
    crf = Recorder()
    monkeypatch.setattr(module, "refine_by_crf", crf)
    images = noise(2, 18, 25, 3)
    with_crf = replace(RECIPE, segmentation={"use_crf": True, "crf_image": crf_image, "crf": {"iterations": 3}})
    before = segmenter().scores(images)
    torch.testing.assert_close(segmenter(with_crf).scores(images), before.flip(1))
    for number, (image, scores, settings) in enumerate(crf.calls):
        mean = np.array([122.675, 116.669, 104.008])
        expected = {
            "original": images[number],
            "wrapped": np.trunc(images[number] - mean).astype(np.int64).astype(np.uint8),
        }
        assert np.array_equal(image, expected[crf_image])
        torch.testing.assert_close(scores, before[number])
        assert settings.iterations == 3
    assert len(crf.calls) == 2


def test_the_crf_works_on_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    crf = Recorder()
    monkeypatch.setattr(module, "refine_by_crf", crf)
    recipe = replace(RECIPE, segmentation={"use_crf": True, "tile_size": 64, "tile_overlap": 16})
    image = noise(64, 100, 3)
    segmenter(recipe).predict(image)
    assert [call[0].shape for call in crf.calls] == [(64, 58, 3), (64, 58, 3)]
    assert np.array_equal(crf.calls[1][0], image[:, 42:])


def test_the_published_crf() -> None:
    """REFERENCE 6.5: 10 iterations; gaussian 1 px, compatibility 3; bilateral 67 px, 3 grey levels, compatibility 4."""
    image = np.asarray(Image.fromarray(noise(4, 5, 3)).resize((25, 20), Image.Resampling.NEAREST))
    before = segmenter(PUBLISHED).scores(image[None])[0]
    after = segmenter(replace(PUBLISHED, segmentation={"use_crf": True})).scores(image[None])[0]
    expected = dense_crf(image, before, iterations=10, gaussian=(1, 3), bilateral=(67, 3, 4))
    torch.testing.assert_close(after, expected, rtol=1e-3, atol=1e-4)
    assert not torch.equal(after.argmax(0), before.argmax(0))


def test_settings_of_another_recipe_leave_network_and_normalisation() -> None:
    other = replace(Recipe(), data={"mean": (0.1, 0.1, 0.1)}, segmentation={"scales": (2.0,), "trunk": "resnet18"})
    ours = segmenter()
    changed = ours.with_settings_of(other)
    assert changed.network is ours.network
    assert changed.recipe == replace(
        RECIPE,
        segmentation={
            "scales": (2.0,), "mirror": False, "view_merge": "max", "inference_size": 512, "use_crf": True,
        },
    )  # fmt: skip


def test_many_classes_need_two_bytes() -> None:
    recipe = replace(Recipe(), segmentation={**PLAIN, **SMALL})
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


@pytest.mark.parametrize(("method", "kind"), [("plain", DeepLab), ("co_training", DeepLabPair)], ids=str)
def test_the_method_says_how_many_networks(method: str, kind: type[nn.Module]) -> None:
    settings = replace(Recipe(), segmentation={**SMALL, "method": method}).segmentation
    assert type(build_network(settings, num_labels=3, weights=None)) is kind


def test_a_pair_answers_with_the_mean_of_both() -> None:
    recipe = replace(RECIPE, segmentation={**SMALL, "method": "co_training", "scales": (1.0,), "mirror": False})
    pair = build_network(recipe.segmentation, num_labels=3, weights=None)
    assert isinstance(pair, DeepLabPair)
    image = noise(24, 32, 3)
    scores = segmenter(recipe, pair).scores(image[None])
    with torch.no_grad():
        both = [network(normalized(image, recipe)).pre_logits for network in (pair.network1, pair.network2)]
    expected = resized((both[0] + both[1]) / 2, (24, 32)).softmax(1)
    torch.testing.assert_close(scores, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("method", "networks"), [("plain", 1), ("co_training", 2)], ids=["plain", "co_training"])
def test_settings_of_vgg16_reach_every_network(method: str, networks: int) -> None:
    head = {"trunk": "vgg16", "trunk_weights": None, "vgg_dropout": 0.25, "aspp_dilations": (3, 5)}
    settings = replace(Recipe(), segmentation={**head, "method": method}).segmentation
    with torch.device("meta"):
        network = build_network(settings, num_labels=3, weights=None)
    layers = dict(network.named_modules())
    assert [layers[name].dilation for name in layers if name.endswith("fc6")] == [(3, 3), (5, 5)] * networks
    assert [layer.p for layer in layers.values() if isinstance(layer, nn.Dropout)] == [0.25] * 4 * networks
