from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ktse.artifacts import RunDirectory, write_cams
from ktse.config import Recipe, replace
from ktse.data.classes import Classes
from ktse.data.dataset import Dataset
from ktse.data.image_io import read_confidence, read_label_map
from ktse.errors import DataError, StoppedError
from ktse.ops.par import pixel_adaptive_refinement
from ktse.refinement import run as stage
from ktse.refinement.run import masks_key, refine
from ktse.types import CamSet

RECIPE = replace(
    Recipe(), refinement={"par_dilations": (1, 2), "par_iterations": 2, "par_batch": 2}, runtime={"accelerator": "cpu"}
)
SIZES = ((12, 16), (12, 16), (12, 16), (9, 11), (12, 16))
PRESENT = ((0,), (0, 2), (1,), (2,), ())


class Memory(Dataset):
    """Five images of noise with a bright square; the last has no tags."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.images = [rng.integers(0, 60, (*size, 3), dtype=np.uint8) for size in SIZES]
        for image in self.images:
            image[3:8, 4:9] += 150
        tags = np.array([[k in present for k in range(3)] for present in PRESENT])
        super().__init__(
            name="memory",
            split="train",
            classes=Classes(("a", "b", "c")),
            ids=[f"deep/{number}" for number in range(len(SIZES))],
            tags=tags,
            has_masks=False,
        )

    def image(self, index: int) -> np.ndarray:
        return self.images[index]

    def mask(self, index: int) -> None:
        return None


def cams(index: int, **changes: Any) -> CamSet:
    height, width = SIZES[index]
    rng = np.random.default_rng(index)
    scores = rng.random((len(PRESENT[index]), height // 4, width // 4)).astype(np.float16)
    content = {"scores": scores, "present": np.array(PRESENT[index], np.int64), "size": SIZES[index]}
    return CamSet(**content | changes)


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    directory = RunDirectory(tmp_path / "run")
    directory.stage("cams").begin("key of the CAMs")
    for index, present in enumerate(PRESENT):
        if present:
            write_cams(directory.cams(f"deep/{index}"), cams(index))
    directory.stage("cams").finish("key of the CAMs")
    return directory


def process(rank: int = 0, world_size: int = 1) -> Any:
    return SimpleNamespace(global_rank=rank, world_size=world_size, device=torch.device("cpu"), barrier=lambda: None)


def masks(run: RunDirectory, indices: Sequence[int] = range(5)) -> list[np.ndarray]:
    return [read_label_map(run.mask(f"deep/{index}")) for index in indices]


def test_masks_are_those_of_the_reference_one_image_at_a_time(run: RunDirectory) -> None:
    """Scores, PAR, best label (REFERENCE 3.3, 5.6), each image by itself though the stage works in batches."""
    dataset = Memory()
    refine(dataset, RECIPE, run=run)
    for index, labels in enumerate(masks(run)):
        maps = torch.from_numpy(cams(index).scores.astype(np.float32))
        stack = torch.full((1, 1 + len(maps), *SIZES[index]), 0.2)
        if len(maps):
            stack[:, 1:] = torch.nn.functional.interpolate(maps[None], SIZES[index], mode="bilinear")
        pixels = torch.from_numpy(dataset.image(index)).movedim(-1, 0)[None] / 255
        refined = pixel_adaptive_refinement(pixels, stack, dilations=(1, 2), iterations=2)[0]
        expected = np.array([0, *(k + 1 for k in PRESENT[index])])[refined.argmax(0).numpy()]
        assert np.array_equal(labels, expected)
        best, second = torch.cat([refined, torch.zeros(2, *SIZES[index])]).topk(2, 0).values
        trusted = read_confidence(run.confidence(f"deep/{index}"))
        for label in np.unique(expected):
            region = expected == label
            assert trusted[region].sum() == region.sum() // 2
            if len(maps):
                margin = (best - second).numpy()[region]
                assert margin[trusted[region]].min() >= margin[~trusted[region]].max() - 1e-6
    with Image.open(run.mask("deep/0")) as written:
        assert written.mode == "P", "with a palette, so that viewers show colours"


def test_without_steps_the_mask_is_the_seed_and_untagged_images_are_background(run: RunDirectory) -> None:
    refine(Memory(), replace(RECIPE, refinement={"steps": ()}), run=run)
    first, *_, last = masks(run)
    maps = torch.from_numpy(cams(0).scores.astype(np.float32))
    up = torch.nn.functional.interpolate(maps[None], SIZES[0], mode="bilinear")[0, 0]
    assert np.array_equal(first, (up > 0.2).numpy().astype(int))
    assert last.shape == SIZES[-1]
    assert not last.any()


def test_batches_hold_neighbours_of_one_size(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def spy(images: torch.Tensor, scores: torch.Tensor, **settings: Any) -> torch.Tensor:
        seen.append(tuple(scores.shape))
        return scores

    monkeypatch.setattr(stage, "pixel_adaptive_refinement", spy)
    refine(Memory(), RECIPE, run=run)
    assert seen == [(2, 3, 12, 16), (1, 2, 12, 16), (1, 2, 9, 11), (1, 1, 12, 16)]


def test_shares_of_two_processes_make_the_whole(run: RunDirectory) -> None:
    run.stage("masks").begin(masks_key(Memory(), RECIPE, run=run))  # as the first process does before the others go on
    for rank in (1, 0):
        refine(Memory(), RECIPE, run=run, fabric=process(rank, 2))
        made = run.stage("masks").done_ids()
        assert made == ({"deep/1", "deep/3"} if rank else {f"deep/{index}" for index in range(5)})
    apart = masks(run)
    run.stage("masks").begin("something else")
    refine(Memory(), RECIPE, run=run)
    assert all(np.array_equal(a, b) for a, b in zip(apart, masks(run), strict=True))


def test_a_second_call_does_nothing_and_an_unfinished_one_goes_on(run: RunDirectory) -> None:
    refine(Memory(), RECIPE, run=run)
    times = {path: path.stat().st_mtime_ns for path in run.root.rglob("*.png")}
    refine(Memory(), RECIPE, run=run)
    assert {path: path.stat().st_mtime_ns for path in run.root.rglob("*.png")} == times
    key = masks_key(Memory(), RECIPE, run=run)
    run.stage("masks").begin(key)
    run.confidence("deep/2").unlink()
    refine(Memory(), RECIPE, run=run)
    changed = {path for path, time in times.items() if path.stat().st_mtime_ns != time}
    assert changed == {run.mask("deep/2"), run.confidence("deep/2")}
    assert run.stage("masks").is_done(key)


@pytest.mark.parametrize(
    ("changes", "same"),
    [({"background_score": 0.4}, False), ({"par_iterations": 3}, False), ({"par_batch": 1}, True)],
    ids=["score", "iterations", "batch"],
)
def test_what_the_masks_depend_on(run: RunDirectory, changes: dict[str, Any], same: bool) -> None:
    other = replace(RECIPE, refinement=changes)
    assert (masks_key(Memory(), RECIPE, run=run) == masks_key(Memory(), other, run=run)) == same


def test_other_cams_make_other_masks(run: RunDirectory) -> None:
    before = masks_key(Memory(), RECIPE, run=run)
    run.stage("cams").begin("other CAMs")
    assert masks_key(Memory(), RECIPE, run=run) != before


WRONG = {
    "missing": (None, "cannot read CAMs"),
    "damaged": (b"PK not really", "not a CAM file"),
    "other size": (cams(1, size=(16, 12)), "belongs to an image of"),
    "unknown class": (cams(1, present=np.array([0, 3])), "names class 3"),
}


@pytest.mark.parametrize(("content", "message"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_cam_is_named_and_the_others_are_done(
    run: RunDirectory, content: CamSet | bytes | None, message: str
) -> None:
    path = run.cams("deep/1")
    path.unlink()
    if isinstance(content, CamSet):
        write_cams(path, content)
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        refine(Memory(), RECIPE, run=run)
    assert str(path) in str(caught.value)
    assert run.stage("masks").done_ids() == {"deep/0", "deep/2", "deep/3", "deep/4"}
    write_cams(path, cams(1))
    refine(Memory(), RECIPE, run=run)
    assert len(masks(run)) == 5


def test_several_wrong_cams_are_counted(run: RunDirectory) -> None:
    for index in (1, 3):
        run.cams(f"deep/{index}").unlink()
    with pytest.raises(DataError, match="1 other"):
        refine(Memory(), RECIPE, run=run)


def test_a_run_without_cams_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Run localize"):
        refine(Memory(), RECIPE, run=RunDirectory(tmp_path))


def test_stopped_after_a_batch_and_continued(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*inputs: torch.Tensor, **settings: Any) -> torch.Tensor:
        os.kill(os.getpid(), signal.SIGINT)
        return pixel_adaptive_refinement(*inputs, **settings)

    with monkeypatch.context() as patch, pytest.raises(StoppedError, match="finished images are kept"):
        patch.setattr(stage, "pixel_adaptive_refinement", interrupted)
        refine(Memory(), RECIPE, run=run)
    assert run.stage("masks").done_ids() == {"deep/0", "deep/1"}
    refine(Memory(), RECIPE, run=run)
    assert len(masks(run)) == 5
