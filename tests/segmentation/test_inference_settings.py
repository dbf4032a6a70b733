from __future__ import annotations

from typing import Any

import pytest

from ktse.artifacts import RunDirectory
from ktse.config import Recipe, SegmentationSettings, replace
from ktse.data.dataset import Dataset
from ktse.segmentation.inference_settings import INFERENCE_SETTINGS
from ktse.segmentation.predict import predictions_key
from ktse.segmentation.train import segmenter_key

OTHER_VALUES: dict[str, Any] = {
    "scales": (0.5,), "mirror": True, "view_merge": "mean", "inference_size": None, "tile_size": 640,
    "tile_overlap": 64, "use_crf": False, "crf": {"iterations": 3}, "crf_image": "wrapped",
}  # fmt: skip


def test_each_is_a_setting() -> None:
    assert INFERENCE_SETTINGS == set(OTHER_VALUES) <= set(SegmentationSettings.model_fields)


@pytest.mark.parametrize("name", sorted(INFERENCE_SETTINGS))
def test_a_change_makes_new_predictions_of_the_same_network(dataset: Dataset, run: RunDirectory, name: str) -> None:
    recipe = Recipe()
    changed = replace(recipe, segmentation={name: OTHER_VALUES[name]})
    assert segmenter_key(dataset, changed, run=run) == segmenter_key(dataset, recipe, run=run)
    run.stage("segmenter").begin("trained")
    assert predictions_key(dataset, changed, run=run) != predictions_key(dataset, recipe, run=run)
