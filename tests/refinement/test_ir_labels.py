"""IR labels pixel by pixel from the published rule (REFERENCE 5.2), and the stage that writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ktse.artifacts import RunDirectory
from ktse.config import Recipe, replace
from ktse.data.image_io import read_label_map
from ktse.errors import DataError
from ktse.ops.dense_crf import dense_crf, unary_from_labels
from ktse.refinement.ir_labels import ir_label, ir_labels_key, make_ir_labels
from ktse.refinement.unrefined import Unrefined, read_unrefined
from ktse.types import CamSet

RECIPE = replace(
    Recipe(),
    refinement={"irn": {"foreground_threshold": 0.5, "background_threshold": 0.2}},
    runtime={"accelerator": "cpu"},
)
NO_CRF = replace(RECIPE, refinement={"crf": {"iterations": 0}}).refinement


def test_rule_pixel_by_pixel() -> None:
    """Strict cut, generous cut, and the label: by hand."""
    first = [0.9, 0.4, 0.1, 0.3, 0.15, 0.5]
    second = [0.1, 0.3, 0.6, 0.45, 0.19, 0.5]
    cams = CamSet(np.array([[first], [second]], np.float32), np.array([2, 14]), (1, 6))
    item = Unrefined("a", np.zeros((1, 6, 3), np.uint8), cams)
    # above 0.5 | between | above 0.5, other class | between | below 0.2 | not above 0.5
    assert ir_label(item, NO_CRF).tolist() == [[3, 255, 15, 255, 0, 255]]
    assert ir_label(item, NO_CRF, ignore_index=65535).tolist() == [[3, 65535, 15, 65535, 0, 65535]]


def refined_labels(image: np.ndarray, maps: torch.Tensor, threshold: float) -> np.ndarray:
    """A hard cut refined by a CRF, without the code that shares lattices."""
    cut = torch.cat([torch.full((1, *image.shape[:2]), threshold), maps]).argmax(0)
    return dense_crf(image, unary_from_labels(cut, len(maps) + 1, confidence=0.7)).argmax(0).numpy()


@pytest.mark.parametrize("unary", ["labels", "scores"])
def test_labels_are_those_of_two_crfs(memory: Any, run: RunDirectory, unary: str) -> None:
    settings = replace(RECIPE, refinement={"crf": {"unary": unary}}).refinement  # of later steps
    for index in (0, 1, 3):
        item = read_unrefined(memory, index, run=run)
        maps = torch.from_numpy(item.cams.scores.astype(np.float32))
        maps = torch.nn.functional.interpolate(maps[None], item.image.shape[:2], mode="bilinear")[0]
        sure, perhaps = (refined_labels(item.image, maps, threshold) for threshold in (0.5, 0.2))
        expected = np.where(sure > 0, np.array([0, *(item.cams.present + 1)])[sure], np.where(perhaps > 0, 255, 0))
        assert np.array_equal(ir_label(item, settings), expected)


def test_stage_writes_every_image_and_background_for_those_without_tags(memory: Any, run: RunDirectory) -> None:
    make_ir_labels(memory, RECIPE, run=run)
    for index in range(4):
        expected = ir_label(read_unrefined(memory, index, run=run), RECIPE.refinement)
        assert np.array_equal(read_label_map(run.ir_label(f"deep/{index}")), expected)
    last = read_label_map(run.ir_label("deep/4"))
    assert last.shape == (12, 16)
    assert not last.any()
    assert run.stage("ir_labels").is_done(ir_labels_key(memory, RECIPE, run=run))


def test_processes_share_the_images(memory: Any, run: RunDirectory, process: Any) -> None:
    shares = []
    for rank in (0, 1):
        make_ir_labels(memory, RECIPE, run=run, fabric=process(rank, 2))
        shares.append(run.stage("ir_labels").done_ids())
        run.stage("ir_labels").begin("something else")
    assert shares == [{"deep/0", "deep/2", "deep/4"}, {"deep/1", "deep/3"}]


def test_wrong_cams_are_named_and_the_others_are_done(
    memory: Any, run: RunDirectory, wrong_cams: tuple[Path, str]
) -> None:
    path, message = wrong_cams
    with pytest.raises(DataError, match=message) as caught:
        make_ir_labels(memory, RECIPE, run=run)
    assert str(path) in str(caught.value)
    assert run.stage("ir_labels").done_ids() == {"deep/0", "deep/2", "deep/3", "deep/4"}


@pytest.mark.parametrize("index", [2, 4], ids=["tagged", "without tags"])
def test_missing_image_is_named_and_the_others_are_done(without_image: Any, run: RunDirectory, index: int) -> None:
    with pytest.raises(DataError, match=rf"no image 'deep/{index}\.jpg'"):
        make_ir_labels(without_image(index), RECIPE, run=run)
    assert run.stage("ir_labels").done_ids() == {f"deep/{other}" for other in range(5) if other != index}


CHANGES = {
    "threshold of foreground": ({"irn": {"foreground_threshold": 0.6}}, False),
    "threshold of background": ({"irn": {"background_threshold": 0.1}}, False),
    "CRF": ({"crf": {"iterations": 3}}, False),
    "unary of later steps": ({"crf": {"unary": "scores"}}, True),
    "background of masks": ({"background_score": 0.5}, True),
    "training of IRNet": ({"irn": {"epochs": 9}}, True),
}


@pytest.mark.parametrize(("changes", "same"), CHANGES.values(), ids=CHANGES.keys())
def test_what_the_labels_depend_on(memory: Any, run: RunDirectory, changes: dict[str, Any], same: bool) -> None:
    other = replace(RECIPE, refinement=changes)
    assert (ir_labels_key(memory, RECIPE, run=run) == ir_labels_key(memory, other, run=run)) == same


def test_other_cams_make_other_labels(memory: Any, run: RunDirectory) -> None:
    before = ir_labels_key(memory, RECIPE, run=run)
    run.stage("cams").begin("other CAMs")
    assert ir_labels_key(memory, RECIPE, run=run) != before
