"""Five small images with CAMs, in memory and in a run directory."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from ktse.artifacts import RunDirectory, write_cams
from ktse.data.classes import Classes
from ktse.data.dataset import Dataset
from ktse.errors import DataError
from ktse.types import CamSet

SIZES = ((12, 16), (12, 16), (12, 16), (9, 11), (12, 16))
PRESENT = ((0,), (0, 2), (1,), (2,), ())


class Memory(Dataset):
    """Five images of noise with a bright square; the last has no tags. Missing ones cannot be read."""

    def __init__(self, missing: tuple[int, ...] = ()) -> None:
        rng = np.random.default_rng(0)
        self.missing = missing
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
        if index in self.missing:
            raise DataError(f"there is no image 'deep/{index}.jpg'.")
        return self.images[index]

    def mask(self, index: int) -> None:
        return None


def cams_of(index: int, **changes: Any) -> CamSet:
    """CAMs of noise on the grid of stride 4, or changed ones."""
    height, width = SIZES[index]
    rng = np.random.default_rng(index)
    scores = rng.random((len(PRESENT[index]), -(-height // 4), -(-width // 4))).astype(np.float16)
    content = {"scores": scores, "present": np.array(PRESENT[index], np.int64), "size": SIZES[index]}
    return CamSet(**content | changes)


WRONG_CAMS = {
    "missing": (None, "cannot read CAMs"),
    "damaged": (b"PK not really", "not a CAM file"),
    "other size": (cams_of(1, size=(16, 12)), "belongs to an image of"),
    "unknown class": (cams_of(1, present=np.array([0, 3])), "names class 3"),
}


@pytest.fixture(params=WRONG_CAMS.values(), ids=WRONG_CAMS.keys())
def wrong_cams(request: pytest.FixtureRequest, run: RunDirectory) -> tuple[Path, str]:
    """A run in which the CAMs of image 1 are wrong: their file, and what the error says."""
    content, message = request.param
    path = run.cams("deep/1")
    path.unlink()
    if isinstance(content, CamSet):
        write_cams(path, content)
    elif content is not None:
        path.write_bytes(content)
    return path, message


@pytest.fixture
def memory() -> Memory:
    return Memory()


@pytest.fixture
def without_image() -> Any:
    """The same data set with an image that is not there."""
    return lambda index: Memory(missing=(index,))


@pytest.fixture
def cams() -> Any:
    return cams_of


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    """A run that holds the CAMs of the tagged images."""
    directory = RunDirectory(tmp_path / "run")
    directory.stage("cams").begin("key of the CAMs")
    for index, present in enumerate(PRESENT):
        if present:
            write_cams(directory.cams(f"deep/{index}"), cams_of(index))
    directory.stage("cams").finish("key of the CAMs")
    return directory


@pytest.fixture
def process() -> Any:
    """Make one of several processes, which run one after the other."""

    def make(rank: int = 0, world_size: int = 1) -> Any:
        device = torch.device("cpu")
        return SimpleNamespace(global_rank=rank, world_size=world_size, device=device, barrier=lambda: None)

    return make
