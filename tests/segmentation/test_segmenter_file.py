from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from ktse.config import Recipe, replace
from ktse.data.classes import Classes
from ktse.errors import WeightsError
from ktse.recipes.components import PLAIN
from ktse.segmentation.segmenter import Segmenter, build_network
from ktse.segmentation.segmenter_file import read_segmenter, write_segmenter

CLASSES = Classes(("cat", "dog"))


@pytest.fixture(params=["plain", "co_training"])
def segmenter(recipe: Recipe, request: pytest.FixtureRequest) -> Segmenter:
    seen = {**PLAIN, "mirror": True, "method": request.param}
    recipe = replace(recipe, data={"mean": (0.1, 0.2, 0.3)}, segmentation=seen)
    network = build_network(recipe.segmentation, num_labels=CLASSES.num_labels, weights=None)
    return Segmenter(network, CLASSES, recipe)


@pytest.fixture
def file(segmenter: Segmenter, tmp_path: Path) -> Path:
    write_segmenter(tmp_path / "segmenter.safetensors", segmenter, note="hello")
    return tmp_path / "segmenter.safetensors"


def metadata(path: Path) -> dict[str, Any]:
    with safe_open(path, framework="pt") as file:
        return {name: json.loads(text) for name, text in file.metadata().items()}


def rewrite(path: Path, **changes: Any) -> None:
    """Change the metadata of a file and keep its tensors."""
    texts = {name: json.dumps(value) for name, value in (metadata(path) | changes).items()}
    save_file(load_file(path), path, metadata=texts)


def test_what_is_read_is_what_was_written(segmenter: Segmenter, file: Path) -> None:
    read = read_segmenter(file)
    assert read.classes == CLASSES
    assert read.recipe == segmenter.recipe
    assert not read.network.training
    for name, tensor in segmenter.network.state_dict().items():
        assert torch.equal(read.network.state_dict()[name], tensor), name
    image = np.random.default_rng(0).integers(0, 256, (17, 22, 3), dtype=np.uint8)
    assert np.array_equal(read.predict(image), segmenter.predict(image))


def test_the_file_says_what_it_is(file: Path) -> None:
    facts = metadata(file)
    assert facts["classes"] == ["cat", "dog"]
    assert facts["num_labels"] == 3
    assert facts["trunk"] == "demo"
    assert facts["normalization"] == {"mean": [0.1, 0.2, 0.3], "std": [0.229, 0.224, 0.225]}
    assert facts["note"] == "hello"


def test_a_missing_file_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"no trained segmenter at .* Train it first"):
        read_segmenter(tmp_path / "none.safetensors")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda path: path.write_bytes(b"no safetensors"), "it is damaged, or no .safetensors file"),
        (lambda path: path.write_bytes(path.read_bytes()[:-9]), "it is damaged, or no .safetensors file"),
        (lambda path: save_file(load_file(path), path), "it does not say its recipe"),
        (lambda path: rewrite(path, recipe={"segmentation": {"no such setting": 1}}), "no setting 'segmentation.no su"),
        (lambda path: rewrite(path, recipe=[1, 2]), "recipe is .1, 2., but should be"),
        (lambda path: rewrite(path, recipe={"segmentation": {"trunk": "demo", "output_stride": 8}}), "stride 4, not 8"),
        (lambda path: rewrite(path, classes=[]), "at least one class"),
        (lambda path: rewrite(path, classes=5), "what it says of itself cannot be read"),
    ],
    ids=["foreign", "cut off", "no metadata", "setting", "recipe", "stride", "no class", "classes"],
)
def test_damaged_and_foreign_files_are_refused(file: Path, damage: Any, reason: str) -> None:
    damage(file)
    with pytest.raises(WeightsError, match=rf"segmenter\.safetensors' is not a segmenter of ktse: .*{reason}"):
        read_segmenter(file)


def test_onnx_is_for_other_programs(tmp_path: Path) -> None:
    (tmp_path / "cats.onnx").write_bytes(b"\x08\x0a\x12\x07pytorch")
    with pytest.raises(
        WeightsError, match=r"cats\.onnx' is ONNX, .*other programs\. Give the run directory, or a \.safe"
    ):
        read_segmenter(tmp_path / "cats.onnx")


@pytest.mark.parametrize(
    "changes",
    [
        {"classes": ["cat"]},
        {"recipe": {"segmentation": {"trunk": "test_vit"}}},
        {"recipe": {"segmentation": {"trunk": "resnet26", "trunk_weights": "timm"}}},
        {"recipe": {"segmentation": {"trunk": "resnet26", "trunk_weights": "timm", "method": "co_training"}}},
    ],
    ids=["fewer labels", "a trunk without a grid", "a larger trunk", "two larger trunks"],
)
def test_a_recipe_that_does_not_fit_the_tensors_is_refused(file: Path, changes: dict[str, Any]) -> None:
    rewrite(file, **changes)
    with pytest.raises(WeightsError, match=r"not a segmenter of ktse|holds another network than its recipe"):
        read_segmenter(file)


def test_recipes_from_before_there_were_methods_are_plain(recipe: Recipe, tmp_path: Path) -> None:
    """Such files know scales and mirror images alone, and the mean of the views at the size of the image."""
    file = tmp_path / "old.safetensors"
    now = replace(recipe, segmentation={**PLAIN, "scales": (0.5, 1.0)})
    network = build_network(now.segmentation, num_labels=CLASSES.num_labels, weights=None)
    write_segmenter(file, Segmenter(network, CLASSES, now))
    then = metadata(file)["recipe"]
    known = {
        "trunk", "trunk_weights", "output_stride", "aspp_dilations", "crop_size", "crop_area", "flip_probability",
        "trusted_only", "epochs", "batch_size", "micro_batches", "learning_rate", "head_learning_rate_factor",
        "learning_rate_power", "learning_rate_floor", "momentum", "weight_decay", "gradient_clip", "scales", "mirror",
    }  # fmt: skip
    then["segmentation"] = {name: value for name, value in then["segmentation"].items() if name in known}
    then["segmentation"]["batch_size"] = 3
    rewrite(file, recipe=then)
    assert read_segmenter(file).recipe == replace(now, segmentation={"batch_size": 3})
