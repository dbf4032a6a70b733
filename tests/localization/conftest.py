from __future__ import annotations

import pytest

from ktse.config import Recipe, replace
from ktse.data.shapes import Shapes
from ktse.recipes import load_recipe


@pytest.fixture(scope="session")
def world() -> Shapes:
    return Shapes("train", count=12)


@pytest.fixture(scope="session")
def tiny() -> Recipe:
    """Two epochs of two steps each, the second with every loss."""
    return replace(
        load_recipe("demo"),
        data={"shapes_train": 12},
        localization={
            "crop_size": 48, "resize_range": (40, 56), "warm_up_epochs": 1, "epochs": 2, "warm_up_batch_size": 6,
            "batch_size": 6, "pairs": 2, "scales": (1.0,), "par_iterations": 2,
        },
    )  # fmt: skip
