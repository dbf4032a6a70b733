"""A tiny data set and a run that holds pseudo masks for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ktse.artifacts import RunDirectory
from ktse.config import Recipe, replace
from ktse.data.dataset import Dataset
from ktse.data.image_io import write_confidence, write_label_map
from ktse.data.shapes import Shapes
from ktse.recipes.components import PLAIN


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    return Shapes("train", count=10, size=32)


@pytest.fixture
def recipe() -> Recipe:
    return replace(
        Recipe(),
        segmentation={
            **PLAIN, "trunk": "demo", "trunk_weights": None, "output_stride": 4, "aspp_dilations": (1, 2),
            "crop_size": 32, "crop_area": (0.5, 1.0), "epochs": 2, "batch_size": 4, "learning_rate": 0.05,
        },
        runtime={"accelerator": "cpu", "checkpoint_interval": 0.0},
    )  # fmt: skip


@pytest.fixture
def run(tmp_path: Path, dataset: Dataset) -> RunDirectory:
    """A run after refinement: its pseudo masks are the true ones, trusted in their upper halves."""
    run = RunDirectory(tmp_path / "run")
    run.stage("masks").begin("refined")
    for index, id_ in enumerate(dataset.ids):
        mask = dataset.mask(index)
        assert mask is not None
        write_label_map(run.mask(id_), mask)
        write_confidence(run.confidence(id_), np.arange(32)[:, None].repeat(32, 1) < 16)
    run.stage("masks").finish("refined")
    return run
