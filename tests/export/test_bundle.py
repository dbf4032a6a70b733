from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import ktse
from ktse.artifacts import RunDirectory
from ktse.config import Recipe, replace
from ktse.data.classes import Classes
from ktse.errors import WeightsError
from ktse.export.bundle import load, load_bundle, save_bundle
from ktse.nets.deeplab import DeepLab
from ktse.nets.deeplab_pair import DeepLabPair
from ktse.segmentation.segmenter import Segmenter, build_network
from ktse.segmentation.segmenter_file import write_segmenter
from ktse.segmentation.train import segmenter_file

CLASSES = Classes(("cat", "dog"))
RECIPE = replace(
    Recipe(),
    segmentation={
        "method": "plain",
        "trunk": "demo",
        "trunk_weights": None,
        "output_stride": 4,
        "aspp_dilations": (1, 2),
        "inference_size": None,
        "use_crf": False,
    },
)
IMAGE = np.random.default_rng(0).integers(0, 256, (21, 30, 3), dtype=np.uint8)


@pytest.fixture
def model() -> DeepLab:
    return build_network(RECIPE.segmentation, num_labels=3, weights=None)


@pytest.mark.parametrize("as_text", [False, True], ids=["path", "text"])
def test_a_bundle_is_all_that_a_prediction_needs(model: DeepLab, tmp_path: Path, as_text: bool) -> None:
    path = tmp_path / "sub folder" / "pets.safetensors"
    save_bundle(str(path) if as_text else path, model, RECIPE, CLASSES)
    segmenter = load_bundle(str(path) if as_text else path)
    assert segmenter.classes == CLASSES
    assert np.array_equal(segmenter.predict(IMAGE), Segmenter(model, CLASSES, RECIPE).predict(IMAGE))


def test_a_pair_of_networks_in_one_bundle(tmp_path: Path) -> None:
    recipe = replace(RECIPE, segmentation={"method": "co_training"})
    pair = build_network(recipe.segmentation, num_labels=3, weights=None)
    save_bundle(tmp_path / "pair.safetensors", pair, recipe, CLASSES)
    segmenter = load_bundle(tmp_path / "pair.safetensors")
    assert isinstance(segmenter.network, DeepLabPair)
    state = pair.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in segmenter.network.state_dict().items())


def test_ktse_load_takes_a_bundle_or_a_run(model: DeepLab, tmp_path: Path) -> None:
    assert ktse.load is load
    expected = Segmenter(model, CLASSES, RECIPE)
    save_bundle(tmp_path / "pets.safetensors", model, RECIPE, CLASSES)
    write_segmenter(segmenter_file(RunDirectory(tmp_path / "run")), expected)
    for path in (tmp_path / "pets.safetensors", tmp_path / "run"):
        assert np.array_equal(ktse.load(path).predict(IMAGE), expected.predict(IMAGE))


def test_a_folder_without_a_segmenter_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="Train it first"):
        load(tmp_path)
