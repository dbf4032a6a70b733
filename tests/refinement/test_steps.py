"""Each step against the equations, on grids small enough for the slow way."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from ktse.config import DataSettings, IrnSettings, Recipe, RefinementSettings, replace
from ktse.errors import DataError
from ktse.nets.irnet import build_irnet, edges_of_image
from ktse.ops.dense_crf import dense_crf, unary_from_labels
from ktse.refinement import steps
from ktse.refinement.steps import ImageScores, batches_of_one_size, crf_step, irn_step, par_step, seed_scores
from ktse.refinement.unrefined import Unrefined
from ktse.types import CamSet
from reference.gpp_oracle import resized
from reference.par_oracle import refine as slow_par
from reference.random_walk_oracle import dense_walk

SETTINGS = replace(Recipe(), refinement={"par_dilations": (1, 2), "par_iterations": 2}).refinement
IRN = IrnSettings(walk_radius=3, walk_power=2.0, walk_steps=8, background_score=0.3, canvas=32)
DATA = DataSettings()


def scored(
    size: tuple[int, int], classes: int = 2, *, grid: tuple[int, int] | None = None, seed: int = 0
) -> ImageScores:
    """An image of noise with scores of noise on a grid, beside a constant background."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    grid = grid or (math.ceil(size[0] / 4), math.ceil(size[1] / 4))
    maps = torch.from_numpy(rng.random((classes, *grid)).astype(np.float32))
    return ImageScores("a", image, np.arange(classes), maps, torch.full((1, 1, 1), 0.2))


def all_resized(maps: torch.Tensor, height: int, width: int) -> np.ndarray:
    return np.stack([np.array(resized(plane.double().numpy(), height, width)) for plane in maps])


def test_seeds_keep_the_grid_of_the_cams() -> None:
    cams = CamSet(np.array([[[0.5, 0.25]]], np.float16), np.array([4]), (3, 8))
    start = seed_scores(Unrefined("a", np.zeros((3, 8, 3), np.uint8), cams), 0.4)
    assert start.foreground.tolist() == [[[0.5, 0.25]]]
    assert start.foreground.dtype == torch.float32
    np.testing.assert_allclose(start.full_size()[1:], all_resized(start.foreground, 3, 8), atol=1e-6)
    assert (start.full_size()[0] == 0.4).all()
    assert start.labels().tolist() == [[5, 5, 5, 5, 0, 0, 0, 0]] * 3  # above 0.4 in the left half


def test_par_is_that_of_the_equations_for_images_with_other_numbers_of_classes() -> None:
    batch = [scored((8, 8), 2), scored((8, 8), 1, seed=1)]
    results = par_step(batch, SETTINGS)
    for item, result in zip(batch, results, strict=True):
        given = item.full_size().double().numpy()
        image = item.image.transpose(2, 0, 1) / 255
        np.testing.assert_allclose(result.full_size(), slow_par(image, given, (1, 2), 2), atol=1e-4)


def test_par_that_keeps_peaks_scales_each_label_back_to_the_maximum_it_had() -> None:
    batch = [scored((8, 8), 2), scored((8, 8), 1, seed=1)]
    batch[0].foreground[1].zero_()
    settings = SETTINGS.model_copy(update={"par_keeps_peaks": True})
    for item, flat, kept in zip(batch, par_step(batch, SETTINGS), par_step(batch, settings), strict=True):
        for before, smooth, scaled in zip(item.full_size(), flat.full_size(), kept.full_size(), strict=True):
            assert float(scaled.max()) == pytest.approx(float(before.max()))
            torch.testing.assert_close(scaled * smooth.max(), smooth * before.max())
        assert flat.foreground[0].max().item() != pytest.approx(item.full_size()[1].max().item(), rel=1e-3), "too easy"
        torch.testing.assert_close(kept.background, item.background.expand_as(kept.background))


def test_crf_starts_from_all_scores_and_gives_probabilities() -> None:
    item = scored((10, 13), 3)
    result = crf_step(item, SETTINGS).full_size()
    unary = unary_from_labels(item.full_size().argmax(0), 4, confidence=0.7)
    torch.testing.assert_close(result, dense_crf(item.image, unary))
    torch.testing.assert_close(result.sum(0), torch.ones(10, 13))


@pytest.mark.parametrize(
    ("size", "grid"), [((18, 22), None), ((17, 21), (17, 21)), ((12, 9), (2, 2))], ids=["own grid", "full", "coarse"]
)
def test_walk_is_that_of_the_equations(
    monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], grid: tuple[int, int] | None
) -> None:
    """Dense matrix squared three times, enlarged by 4, cut, over the maximum of all classes (REFERENCE 5.6)."""
    item = scored(size, 2, grid=grid)
    height, width = (math.ceil(side / 4) for side in size)
    edge = torch.rand(1, height, width, generator=torch.Generator().manual_seed(1))
    monkeypatch.setattr(steps, "edges_of_image", lambda *_, **__: (edge, torch.zeros(2, height, width)))
    result = irn_step(item, build_irnet("test_resnet"), IRN, DATA)
    given = all_resized(item.foreground, height, width)
    walked = dense_walk(given, edge[0].double().numpy(), radius=3, beta=2.0, exp_times=3)
    enlarged = all_resized(torch.from_numpy(walked), 4 * height, 4 * width)[:, : size[0], : size[1]]
    np.testing.assert_allclose(result.full_size()[1:], enlarged / enlarged.max(), atol=1e-5)
    assert (result.full_size()[0] == 0.3).all()


def test_edges_are_those_of_the_normalised_image() -> None:
    torch.manual_seed(0)
    net, item = build_irnet("test_resnet").eval(), scored((18, 22), 1)
    settings = IRN.model_copy(update={"walk_steps": 0})
    result = irn_step(item, net, settings, DATA)
    normalized = (item.image / 255 - np.array(DATA.mean)) / np.array(DATA.std)
    edge, _ = edges_of_image(net, torch.from_numpy(normalized.transpose(2, 0, 1)).float(), canvas=32)
    left = all_resized(item.foreground * (1 - edge), 20, 24)[:, :18, :22]
    np.testing.assert_allclose(result.foreground, left / left.max(), atol=1e-5)


def test_cams_of_nothing_stay_background(monkeypatch: pytest.MonkeyPatch) -> None:
    item = scored((8, 8), 1)
    item.foreground.zero_()
    monkeypatch.setattr(steps, "edges_of_image", lambda *_, **__: (torch.zeros(1, 2, 2), None))
    assert not irn_step(item, build_irnet("test_resnet"), IRN, DATA).labels().any()


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_edges_that_are_not_finite_name_the_image(monkeypatch: pytest.MonkeyPatch, value: float) -> None:
    edge = torch.zeros(1, 2, 2)
    edge[0, 1, 1] = value
    monkeypatch.setattr(steps, "edges_of_image", lambda *_, **__: (edge, None))
    with pytest.raises(DataError, match="edge map of image 'a' holds NaN or infinity"):
        irn_step(scored((8, 8)), build_irnet("test_resnet"), IRN, DATA)


def test_steps_follow_on_each_other_in_any_order() -> None:
    torch.manual_seed(0)
    net = build_irnet("test_resnet").eval()
    one: Any = {
        "par": lambda item: par_step([item], SETTINGS)[0],
        "crf": lambda item: crf_step(item, RefinementSettings(crf={"unary": "scores"})),
        "irn": lambda item: irn_step(item, net, IRN, DATA),
    }
    for order in (("par", "crf", "irn"), ("crf", "irn", "par"), ("irn", "par", "crf"), ("irn", "crf")):
        item = scored((13, 10), 2)
        for step in order:
            item = one[step](item)
        scores = item.full_size()
        assert scores.shape == (3, 13, 10)
        assert bool(scores.isfinite().all())
        assert bool((scores >= 0).all())


def test_batches_hold_neighbours_of_one_size() -> None:
    items = [scored(size) for size in ((8, 8), (8, 8), (8, 8), (4, 8), (8, 8))]
    batches = list(batches_of_one_size(items, 2))
    assert [len(batch) for batch in batches] == [2, 1, 1, 1]
    assert [item for batch in batches for item in batch] == items


def test_batches_of_large_images_are_smaller() -> None:
    small, large = scored((64, 64), 1, grid=(1, 1)), scored((1500, 1500), 1, grid=(1, 1))
    assert [len(batch) for batch in batches_of_one_size([small] * 8 + [large] * 2, 8)] == [8, 1, 1]
