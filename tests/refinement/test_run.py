"""The stages of refinement over five small images; IRNet is drawn, not trained."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ktse.artifacts import RunDirectory, stage_key, write_cams
from ktse.config import Recipe, replace
from ktse.data.image_io import read_confidence, read_label_map
from ktse.errors import DataError, StoppedError, WeightsError
from ktse.nets.irnet import IRNet, build_irnet, edges_of_image
from ktse.ops.par import pixel_adaptive_refinement
from ktse.refinement import run as stage
from ktse.refinement import steps
from ktse.refinement.confidence import confident_region
from ktse.refinement.run import masks_key, refine
from ktse.refinement.steps import crf_step, irn_step, seed_scores
from ktse.refinement.unrefined import read_unrefined

RECIPE = replace(
    Recipe(),
    refinement={
        "steps": ("par",),
        "par_dilations": (1, 2),
        "par_iterations": 2,
        "par_batch": 2,
        "irn": {"canvas": 32, "walk_radius": 3, "walk_steps": 8},
        "crf": {"iterations": 2},
    },
    runtime={"accelerator": "cpu"},
)
WITH_IRN = replace(RECIPE, refinement={"steps": ("irn", "crf")})
ALL = {f"deep/{index}" for index in range(5)}


@pytest.fixture
def irnet(monkeypatch: pytest.MonkeyPatch) -> IRNet:
    """A drawn network in the place of a trained one."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = build_irnet("test_resnet").eval()

    def train(dataset: Any, recipe: Recipe, *, run: RunDirectory, fabric: Any) -> IRNet:
        assert run.stage("ir_labels").done_ids() == set(dataset.ids), "it learns from all IR labels"
        key = stage_key("irnet", run.stage("ir_labels").key, recipe.refinement.irn.epochs)
        run.stage("irnet").begin(key)
        run.stage("irnet").finish(key)
        return net

    monkeypatch.setattr(stage, "train_irnet", train)
    monkeypatch.setattr(stage, "load_irnet", lambda *_, **__: net)
    return net


def masks(run: RunDirectory, indices: Sequence[int] = range(5)) -> list[np.ndarray]:
    return [read_label_map(run.mask(f"deep/{index}")) for index in indices]


def stamps(run: RunDirectory) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in run.root.rglob("*.png")}


def test_masks_are_those_of_the_reference_one_image_at_a_time(memory: Any, run: RunDirectory, cams: Any) -> None:
    """Scores, PAR, best label (REFERENCE 3.3, 5.6), each image by itself though the stage works in batches."""
    refine(memory, RECIPE, run=run)
    for index, labels in enumerate(masks(run)):
        size, present = memory.image(index).shape[:2], np.flatnonzero(memory.tags[index])
        maps = torch.from_numpy(cams(index).scores.astype(np.float32))
        stack = torch.full((1, 1 + len(maps), *size), 0.2)
        if len(maps):
            stack[:, 1:] = torch.nn.functional.interpolate(maps[None], size, mode="bilinear")
        pixels = torch.from_numpy(memory.image(index)).movedim(-1, 0)[None] / 255
        refined = pixel_adaptive_refinement(pixels, stack, dilations=(1, 2), iterations=2)[0]
        expected = np.array([0, *(present + 1)])[refined.argmax(0).numpy()]
        assert np.array_equal(labels, expected)
        best, second = torch.cat([refined, torch.zeros(2, *size)]).topk(2, 0).values
        trusted = read_confidence(run.confidence(f"deep/{index}"))
        for label in np.unique(expected):
            region = expected == label
            assert trusted[region].sum() == region.sum() // 2
            if len(maps):
                margin = (best - second).numpy()[region]
                assert margin[trusted[region]].min() >= margin[~trusted[region]].max() - 1e-6
    with Image.open(run.mask("deep/0")) as written:
        assert written.mode == "P", "with a palette, so that viewers show colours"


def test_without_steps_the_mask_is_the_seed_and_untagged_images_are_background(
    memory: Any, run: RunDirectory, cams: Any
) -> None:
    refine(memory, replace(RECIPE, refinement={"steps": ()}), run=run)
    first, *_, last = masks(run)
    maps = torch.from_numpy(cams(0).scores.astype(np.float32))
    up = torch.nn.functional.interpolate(maps[None], (12, 16), mode="bilinear")[0, 0]
    assert np.array_equal(first, (up > 0.2).numpy().astype(int))
    assert last.shape == (12, 16)
    assert not last.any()
    assert not (run.root / "steps").exists()


def test_irn_and_crf_follow_on_each_other(memory: Any, run: RunDirectory, irnet: IRNet) -> None:
    refine(memory, WITH_IRN, run=run)
    settings = WITH_IRN.refinement
    for index in range(4):
        start = seed_scores(read_unrefined(memory, index, run=run), 0.2)
        walked = irn_step(start, irnet, settings.irn, WITH_IRN.data)
        refined = crf_step(walked, settings)
        assert np.array_equal(read_label_map(run.step_mask(1, "irn", f"deep/{index}")), walked.labels())
        assert np.array_equal(read_label_map(run.mask(f"deep/{index}")), refined.labels())
        region = confident_region(refined.full_size(), 0.5)
        assert np.array_equal(read_confidence(run.confidence(f"deep/{index}")), region)
    assert not read_label_map(run.step_mask(1, "irn", "deep/4")).any()
    assert not read_label_map(run.mask("deep/4")).any()
    assert not (run.root / "steps" / "2_crf").exists(), "the last step makes the masks"


def test_images_without_tags_ask_no_network(memory: Any, run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "load_irnet", lambda *_, **__: pytest.fail("the network was asked for"))
    run.stage("irnet").begin("k")
    untagged = memory.subset([4])
    stage.make_masks(untagged, WITH_IRN, run=run, fabric=stage.make_fabric(WITH_IRN.runtime))
    assert run.stage("masks").done_ids() == {"deep/4"}


def test_random_confidence_without_tags_is_the_same_in_every_run(memory: Any, run: RunDirectory) -> None:
    recipe = replace(RECIPE, refinement={"untagged_confidence": "random"})
    refine(memory, recipe, run=run)
    first = read_confidence(run.confidence("deep/4"))
    assert first.sum() == 12 * 16 // 2
    assert not first.flat[: 12 * 16 // 2].all()
    run.stage("masks").begin("something else")
    refine(memory, recipe, run=run)
    assert np.array_equal(read_confidence(run.confidence("deep/4")), first)


def test_batches_hold_neighbours_of_one_size(memory: Any, run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def spy(images: torch.Tensor, scores: torch.Tensor, **settings: Any) -> torch.Tensor:
        seen.append(tuple(scores.shape))
        return scores

    monkeypatch.setattr(steps, "pixel_adaptive_refinement", spy)
    refine(memory, RECIPE, run=run)
    assert seen == [(2, 3, 12, 16), (1, 2, 12, 16), (1, 2, 9, 11)]


@pytest.mark.parametrize("recipe", [RECIPE, WITH_IRN], ids=["par", "irn"])
def test_shares_of_two_processes_make_the_whole(
    memory: Any, run: RunDirectory, process: Any, irnet: IRNet, recipe: Recipe
) -> None:
    if recipe is WITH_IRN:
        run.stage("irnet").begin("k")
    shares = ((0, 2, 4), (1, 3))
    apart = {}
    for rank, share in enumerate(shares):
        stage.make_masks(memory, recipe, run=run, fabric=process(rank, 2))
        assert run.stage("masks").done_ids() == {f"deep/{index}" for index in share}
        apart |= dict(zip(share, masks(run, share), strict=True))
        run.stage("masks").begin("something else")
    stage.make_masks(memory, recipe, run=run, fabric=process())
    assert all(np.array_equal(apart[index], mask) for index, mask in enumerate(masks(run)))


def test_a_second_call_does_nothing_and_an_unfinished_one_goes_on(memory: Any, run: RunDirectory, irnet: IRNet) -> None:
    refine(memory, WITH_IRN, run=run)
    times = stamps(run)
    refine(memory, WITH_IRN, run=run)
    assert stamps(run) == times
    key = masks_key(memory, WITH_IRN, run=run)
    run.stage("masks").begin(key)
    run.confidence("deep/2").unlink()
    refine(memory, WITH_IRN, run=run)
    changed = {path for path, time in times.items() if path.stat().st_mtime_ns != time}
    assert changed == {run.mask("deep/2"), run.confidence("deep/2"), run.step_mask(1, "irn", "deep/2")}
    assert run.stage("masks").is_done(key)


def test_an_adopted_irnet_needs_no_labels_and_no_training(
    memory: Any, run: RunDirectory, irnet: IRNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "train_irnet", lambda *_, **__: pytest.fail("trained"))
    keys = []
    for origin in ("a.pth", "b.pth"):
        run.stage("irnet").finish(origin, origin=origin)
        refine(memory, WITH_IRN, run=run)
        keys.append(run.stage("masks").key)
        assert run.stage("masks").done_ids() == ALL
    assert run.stage("ir_labels").key is None
    assert keys[0] != keys[1]


def test_a_lost_by_product_is_no_reason_to_work(memory: Any, run: RunDirectory, irnet: IRNet) -> None:
    refine(memory, WITH_IRN, run=run)
    run.step_mask(1, "irn", "deep/2").unlink()
    times = stamps(run)
    refine(memory, WITH_IRN, run=run)
    assert stamps(run) == times


def test_what_changes_is_made_anew_and_nothing_else(memory: Any, run: RunDirectory, irnet: IRNet) -> None:
    def stale() -> list[str]:
        events = [json.loads(line) for line in run.log().read_text().splitlines()]
        return [event["stage"] for event in events if event["event"] == "stale"]

    refine(memory, WITH_IRN, run=run)
    refine(memory, replace(WITH_IRN, refinement={"irn": {"walk_power": 3.0}}), run=run)
    assert stale() == ["masks"]
    refine(memory, RECIPE, run=run)
    assert stale() == ["masks", "masks"]
    assert not list((run.root / "steps").rglob("*.png")), "of steps that are no more"
    refine(memory, WITH_IRN, run=run)
    assert stale() == ["masks"] * 3, "labels and network of IRN are still there"
    refine(memory, replace(WITH_IRN, refinement={"irn": {"foreground_threshold": 0.5}}), run=run)
    assert stale() == ["masks"] * 3 + ["ir_labels", "masks"]


PAR, CRF, IRN, IRN_PAR = ("par",), ("crf",), ("irn",), ("irn", "par")
DEPENDS = {
    "score, before PAR": (PAR, {"background_score": 0.4}, False),
    "score, before IRN": (IRN, {"background_score": 0.4}, True),
    "score of IRN": (IRN, {"irn": {"background_score": 0.4}}, False),
    "score of IRN, without IRN": (PAR, {"irn": {"background_score": 0.4}}, True),
    "iterations of PAR": (IRN_PAR, {"par_iterations": 3}, False),
    "iterations of PAR, without PAR": (CRF, {"par_iterations": 3}, True),
    "peaks of PAR": (PAR, {"par_keeps_peaks": True}, False),
    "peaks of PAR, without PAR": (CRF, {"par_keeps_peaks": True}, True),
    "batch of PAR": (PAR, {"par_batch": 1}, True),
    "CRF": (CRF, {"crf": {"iterations": 3}}, False),
    "CRF, without CRF": (PAR, {"crf": {"iterations": 3}}, True),
    "walk": (IRN, {"irn": {"walk_steps": 16}}, False),
    "share": (PAR, {"confident_share": 0.4}, False),
    "rule without tags": (PAR, {"untagged_confidence": "random"}, False),
    "order of steps": (IRN_PAR, {"steps": ("par", "irn")}, False),
}


@pytest.mark.parametrize(("chosen", "changes", "same"), DEPENDS.values(), ids=DEPENDS.keys())
def test_what_the_masks_depend_on(
    memory: Any, run: RunDirectory, chosen: tuple[str, ...], changes: dict[str, Any], same: bool
) -> None:
    run.stage("irnet").begin("k")
    recipe = replace(RECIPE, refinement={"steps": chosen})
    other = replace(recipe, refinement=changes)
    assert (masks_key(memory, recipe, run=run) == masks_key(memory, other, run=run)) == same


@pytest.mark.parametrize("rule", ["margin", "random"])
def test_random_seed_matters_where_it_is_used(memory: Any, run: RunDirectory, rule: str) -> None:
    recipe = replace(RECIPE, refinement={"untagged_confidence": rule})
    other = replace(recipe, runtime={"random_seed": 1})
    assert (masks_key(memory, recipe, run=run) == masks_key(memory, other, run=run)) == (rule == "margin")


@pytest.mark.parametrize("name", ["cams", "irnet"])
def test_other_inputs_make_other_masks(memory: Any, run: RunDirectory, name: str) -> None:
    run.stage("irnet").begin("k")
    before = masks_key(memory, WITH_IRN, run=run)
    run.stage(name).begin("another")
    assert masks_key(memory, WITH_IRN, run=run) != before


def test_a_wrong_cam_is_named_and_the_others_are_done(
    memory: Any, run: RunDirectory, cams: Any, wrong_cams: tuple[Path, str]
) -> None:
    path, message = wrong_cams
    with pytest.raises(DataError, match=message) as caught:
        refine(memory, RECIPE, run=run)
    assert str(path) in str(caught.value)
    assert run.stage("masks").done_ids() == ALL - {"deep/1"}
    write_cams(path, cams(1))
    refine(memory, RECIPE, run=run)
    assert len(masks(run)) == 5


def test_several_wrong_cams_are_counted(memory: Any, run: RunDirectory) -> None:
    for index in (1, 3):
        run.cams(f"deep/{index}").unlink()
    with pytest.raises(DataError, match="2 of 5 images failed"):
        refine(memory, RECIPE, run=run)


@pytest.mark.parametrize("index", [1, 4], ids=["tagged", "without tags"])
def test_a_missing_image_is_named_and_the_others_are_done(without_image: Any, run: RunDirectory, index: int) -> None:
    with pytest.raises(DataError, match=rf"no image 'deep/{index}\.jpg'"):
        refine(without_image(index), RECIPE, run=run)
    assert run.stage("masks").done_ids() == ALL - {f"deep/{index}"}


def test_edges_that_are_not_finite_are_named_and_the_others_are_done(
    memory: Any, run: RunDirectory, irnet: IRNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(net: IRNet, image: torch.Tensor, *, canvas: int) -> tuple[torch.Tensor, torch.Tensor]:
        edge, displacement = edges_of_image(net, image, canvas=canvas)
        return (edge * torch.nan if image.shape[1:] == (9, 11) else edge), displacement

    monkeypatch.setattr(steps, "edges_of_image", damaged)
    with pytest.raises(DataError, match="edge map of image 'deep/3' holds NaN"):
        refine(memory, WITH_IRN, run=run)
    assert run.stage("masks").done_ids() == ALL - {"deep/3"}


def test_a_run_without_cams_says_what_to_do(memory: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Run localize"):
        refine(memory, RECIPE, run=RunDirectory(tmp_path))


def test_masks_without_a_trained_irnet_say_what_to_do(memory: Any, run: RunDirectory) -> None:
    with pytest.raises(WeightsError, match="no trained IRNet"):
        masks_key(memory, WITH_IRN, run=run)


def test_stopped_after_an_image_and_continued(memory: Any, run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*inputs: torch.Tensor, **settings: Any) -> torch.Tensor:
        os.kill(os.getpid(), signal.SIGINT)
        return pixel_adaptive_refinement(*inputs, **settings)

    with monkeypatch.context() as patch, pytest.raises(StoppedError, match="finished images are kept"):
        patch.setattr(steps, "pixel_adaptive_refinement", interrupted)
        refine(memory, RECIPE, run=run)
    assert run.stage("masks").done_ids() == {"deep/0", "deep/4"}, "images without tags come first"
    refine(memory, RECIPE, run=run)
    assert len(masks(run)) == 5
