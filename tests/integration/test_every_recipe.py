"""Every recipe: its networks are built in full size; made small, it takes two steps and sees an image in each stage.

The networks of full size are built without memory (device meta). Recipes that differ in their localizer alone share the
stages after it: one of them runs all, the others train and draw CAMs.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ktse.artifacts import RunDirectory
from ktse.artifacts.log import read_log
from ktse.config import Recipe, replace
from ktse.data.image_io import read_label_map
from ktse.localization.train import build
from ktse.nets.irnet import build_irnet
from ktse.nets.vgg16 import STAGES
from ktse.nets.vgg16_head import VggPyramid
from ktse.pipeline import run_recipe
from ktse.recipes import all_recipes
from ktse.segmentation.segmenter import build_network
from reference.voc_tree import add_image, add_list, add_mask

RECIPES = all_recipes()
PARAMETERS = {"resnet38d": 106.1, "resnet101.tv2_in1k": 44.0, "vgg16": 37.9, "resnet50.tv_in1k": 24.9}
"""Millions in the networks of the paper, for 20 classes (REFERENCE 1.4, 5.3, 6.1; VGG16: four branches of 5.8)."""

SMALL = {"resnet50": "test_resnet", "resnet50.tv_in1k": "test_resnet", "resnet101.tv2_in1k": "test_resnet"}
"""What stands for trunks too large for a test; resnet38d and vgg16 get few channels, the others are themselves."""

CROP = 32


def weights_of(trunk: str) -> str | None:
    return "demo" if trunk == "demo" else None


def small(recipe: Recipe) -> Recipe:
    """Make a recipe of two images and two steps: one of warm-up and one with every loss, before and after mixing."""
    localizer, irn, segmenter = recipe.localization.trunk, recipe.refinement.irn.trunk, recipe.segmentation.trunk
    schedule = {"epochs": 2, "batch_size": 2}
    return replace(
        recipe,
        data={"shapes_train": 2, "shapes_val": 1},
        localization={
            **schedule, "trunk": SMALL.get(localizer, localizer), "trunk_weights": weights_of(localizer),
            "trunk_width": 1 / 32 if localizer == "resnet38d" else 1.0, "warm_up_epochs": 1, "warm_up_batch_size": 2,
            "pairs": 1, "crop_size": CROP, "resize_range": (CROP, CROP + 8), "scales": (1.0,), "par_iterations": 1,
        },
        refinement={
            "par_iterations": 1, "crf": {"iterations": 1},
            "irn": {
                **schedule, "trunk": SMALL.get(irn, irn), "trunk_weights": weights_of(irn), "crop_size": 80,
                "canvas": 64, "image_scale": 1.0, "walk_steps": 2,
            },
        },
        segmentation={
            **schedule, "trunk": SMALL.get(segmenter, segmenter), "trunk_weights": weights_of(segmenter),
            "crop_size": CROP, "inference_size": CROP if recipe.segmentation.inference_size else None,
            "scales": (1.0,), "crf": {"iterations": 1}, "co_training": {"warm_up_epochs": 1},
        },
        evaluation={"baseline": False, "fully_supervised": False, "gallery": 1},
        runtime={"accelerator": "cpu", "precision": "32-true", "workers": 0},
    )  # fmt: skip


def after_the_localizer(recipe: Recipe) -> str:
    """What recipes have in common that differ in their localizer alone."""
    made_small = small(recipe)
    parts = [recipe.data.kind, made_small.refinement.model_dump(), made_small.segmentation.model_dump()]
    return json.dumps(parts, sort_keys=True)


FIRST_OF_ITS_KIND = {after_the_localizer(recipe): recipe.name for recipe in reversed(RECIPES.values())}


@pytest.fixture(scope="session")
def voc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two training images of two classes each, and one of val."""
    root = tmp_path_factory.mktemp("voc") / "VOCdevkit" / "VOC2012"
    generator = np.random.default_rng(0)
    splits = {"train": ["2007_000032", "2007_000039"], "val": ["2007_000033"]}
    for split, ids in {**splits, "trainaug": splits["train"]}.items():
        add_list(root, split, ids)
    for id_ in [*splits["train"], *splits["val"]]:
        add_image(root, id_, [("dog", False), ("person", False)])
        pixels = generator.integers(0, 256, (40, 44, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / "JPEGImages" / f"{id_}.jpg")
        add_mask(root, id_, np.repeat([[0, 12, 15, 255]], 40, axis=0).repeat(11, axis=1))
    return root


@pytest.fixture(scope="session")
def coco(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three photographs of COCO with their annotations, as a COCO 2014."""
    if "KTSE_SHARED" not in os.environ:
        pytest.skip("KTSE_SHARED is not set: no photographs of COCO here")
    shared = Path(os.environ["KTSE_SHARED"]) / "data" / "coco_tiny"
    root = tmp_path_factory.mktemp("coco")
    (root / "annotations").mkdir()
    for split, count in {"train": 2, "val": 1}.items():
        content = json.loads((shared / "annotations" / f"instances_{split}2017.json").read_text())
        annotated = {annotation["image_id"] for annotation in content["annotations"]}
        smallest_first = sorted(content["images"], key=lambda image: image["height"] * image["width"])
        images = [image for image in smallest_first if image["id"] in annotated][:count]
        kept = {image["id"] for image in images}
        annotations = [annotation for annotation in content["annotations"] if annotation["image_id"] in kept]
        (root / f"{split}2014").mkdir()
        for image in images:
            source = shared / f"{split}2017" / image["file_name"]
            (root / f"{split}2014" / image["file_name"]).write_bytes(source.read_bytes())
        file = root / "annotations" / f"instances_{split}2014.json"
        file.write_text(json.dumps({**content, "images": images, "annotations": annotations}))
    return root


@pytest.fixture
def narrow_vgg(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give VGG16 a 16th of its channels but for the last, and of fc6 and fc7: two of them are 76 million otherwise."""
    stages = [(count, channels // 16, *rest) for count, channels, *rest in STAGES[:-1]]
    monkeypatch.setattr("ktse.nets.vgg16.STAGES", (*stages, STAGES[-1]))
    monkeypatch.setattr("ktse.nets.deeplab.VggPyramid", partial(VggPyramid, width=64))


def networks() -> list[Any]:
    """Every network that some recipe trains, once, with the first recipe that does."""
    found: dict[str, Any] = {}
    for name, recipe in RECIPES.items():
        wanted = {"localizer": recipe.localization.trunk, "segmenter": recipe.segmentation.trunk}
        if "irn" in recipe.refinement.steps:
            wanted["irn"] = recipe.refinement.irn.trunk
        for kind, trunk in wanted.items():
            found.setdefault(f"{kind} {trunk}", pytest.param(kind, trunk, name, id=f"{kind} {trunk}"))
    return list(found.values())


@pytest.mark.parametrize(("kind", "trunk", "name"), networks())
def test_networks_of_full_size_are_built(kind: str, trunk: str, name: str) -> None:
    recipe = RECIPES[name]
    one_network = recipe.segmentation.model_copy(update={"method": "plain"})
    with torch.device("meta"):
        network: torch.nn.Module
        match kind:
            case "localizer":
                network = build(recipe.localization, num_classes=20, weights=None)
            case "segmenter":
                network = build_network(one_network, num_labels=21, weights=None)
            case _:
                network = build_irnet(trunk)
    count = sum(parameter.numel() for parameter in network.parameters()) / 1e6
    assert round(count, 1) == PARAMETERS[trunk] if trunk in PARAMETERS else count > 0


def steps_of(run: RunDirectory) -> Counter[str]:
    """Steps of each training; every one has a loss, which is finite (the log has null for others)."""
    trained = [event for event in read_log(run.log()) if "losses" in event]
    assert all(event["losses"]["total"] is not None for event in trained)
    return Counter(event["stage"] for event in trained)


@pytest.mark.usefixtures("narrow_vgg")
@pytest.mark.parametrize("name", RECIPES)
def test_two_steps_and_one_image_of_each_stage(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    recipe = small(RECIPES[name])
    fixture = {"voc12": "voc", "coco14": "coco"}.get(recipe.data.kind)
    data = request.getfixturevalue(fixture) if fixture else None
    if recipe.data.kind == "folder":
        recipe = replace(recipe, data={"kind": "shapes"})
    runs_all = FIRST_OF_ITS_KIND[after_the_localizer(RECIPES[name])] == name
    run = RunDirectory(tmp_path / "run")
    stages = None if runs_all else ["localizer", "cams", "scores"]
    scores = run_recipe(recipe, data=data, out=run.root, stages=stages)

    expected = {"localizer": 2, **({"segmenter": 2} if runs_all else {})}
    if runs_all and "irn" in recipe.refinement.steps:
        expected["irnet"] = 2
    assert steps_of(run) == expected
    last = [event["losses"] for event in read_log(run.log()) if event.get("stage") == "localizer"][-1]
    weights = recipe.localization.weights.model_dump()
    assert set(last) == {"total", *(term for term, weight in weights.items() if weight > 0)}, "its row's own losses"
    assert {"seeds"} < {score.stage for score in scores} if runs_all else {"seeds"} == {s.stage for s in scores}
    if runs_all:
        assert {"masks", "predictions"} <= {score.stage for score in scores}
        (prediction,) = [read_label_map(path) for path in run.predictions.rglob("*.png")]
        assert prediction.max() <= len(scores[0].class_names)
        assert run.report.is_file()
