from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open

from ktse.artifacts import RunDirectory
from ktse.config import Recipe, replace
from ktse.data.classes import VOC_CLASSES, Classes
from ktse.errors import InputError, WeightsError
from ktse.export.bundle import load
from ktse.export.released import adopt_released, convert_released
from ktse.localization.train import load_localizer, localizer_file
from ktse.nets.deeplab import build_deeplab
from ktse.nets.deeplab_pair import DeepLabPair, build_deeplab_pair
from ktse.nets.localizer import build_localizer
from ktse.nets.published_deeplab import released_name
from ktse.nets.published_localizer import published_name
from ktse.recipes import load_recipe

RESNET18 = {"trunk": "resnet18", "trunk_weights": None, "method": "co_training"}


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return replace(load_recipe("voc12/full"), segmentation=RESNET18)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, DeepLabPair]:
    pair = build_deeplab_pair(lambda: build_deeplab("resnet18", 21))
    networks = {
        name: {released_name(key): tensor for key, tensor in network.state_dict().items()}
        for name, network in pair.named_children()
    }
    path = tmp_path_factory.mktemp("released") / "best.pth"
    torch.save({"net_state_dict": networks, "best": np.float64(73.0)}, path)
    return path, pair.eval()


def test_a_released_pair_predicts(tmp_path: Path, recipe: Recipe, pair: tuple[Path, DeepLabPair]) -> None:
    path, original = pair
    contents = convert_released(path, tmp_path / "pair.safetensors", recipe)
    assert contents.description == "pair of DeepLabV2 on resnet18, 21 labels"
    segmenter = load(tmp_path / "pair.safetensors")
    assert segmenter.classes == VOC_CLASSES
    image = torch.linspace(-1, 1, 3 * 40 * 40).reshape(1, 3, 40, 40)
    with torch.inference_mode():
        assert torch.equal(segmenter.network.eval()(image).logits, original(image).logits)


def test_a_recipe_of_another_network_is_refused(tmp_path: Path, recipe: Recipe, pair: tuple[Path, DeepLabPair]) -> None:
    plain = replace(recipe, segmentation={"method": "plain"})
    with pytest.raises(WeightsError, match=r"pair of DeepLabV2 on resnet18, 21 labels; the recipe 'voc12/full'"):
        convert_released(pair[0], tmp_path / "x.safetensors", plain)
    assert not (tmp_path / "x.safetensors").exists()


@pytest.mark.parametrize("count", [20, 3], ids=["VOC", "own classes"])
def test_a_released_localizer_stands_in_a_run(tmp_path: Path, recipe: Recipe, count: int) -> None:
    original = build_localizer("resnet38d", count, width=1 / 64, head_width=8)
    torch.save({published_name(name): tensor for name, tensor in original.state_dict().items()}, tmp_path / "x.pth")
    run = RunDirectory(tmp_path / "run")
    classes = None if count == 20 else Classes(("a", "b", "c"))
    convert_released(tmp_path / "x.pth", localizer_file(run), recipe, classes=classes)
    tiny = replace(recipe, localization={"trunk_width": 1 / 64, "head_width": 8})
    loaded = load_localizer(tiny, num_classes=count, run=run).state_dict()
    assert all(torch.equal(tensor, loaded[name]) for name, tensor in original.state_dict().items())
    with safe_open(localizer_file(run), framework="pt") as file:
        assert ("aeroplane" if count == 20 else '"b"') in file.metadata()["classes"]


def test_classes_without_names(tmp_path: Path, recipe: Recipe) -> None:
    original = build_localizer("resnet38d", 3, width=1 / 64, head_width=8)
    torch.save({published_name(name): tensor for name, tensor in original.state_dict().items()}, tmp_path / "x.pth")
    with pytest.raises(WeightsError, match="the names of the 3 classes of this localizer are not known"):
        convert_released(tmp_path / "x.pth", tmp_path / "x.safetensors", recipe)


def localizer_checkpoint(folder: Path, count: int, random_seed: int = 0) -> Path:
    torch.manual_seed(random_seed)
    localizer = build_localizer("resnet38d", count, width=1 / 64, head_width=8)
    path = folder / f"{count}_{random_seed}.pth"
    torch.save({published_name(name): tensor for name, tensor in localizer.state_dict().items()}, path)
    return path


@pytest.fixture
def tiny(recipe: Recipe) -> Recipe:
    return replace(recipe, localization={"trunk_width": 1 / 64, "head_width": 8})


def test_an_adopted_localizer_is_replaced_by_another(tmp_path: Path, tiny: Recipe) -> None:
    run = RunDirectory(tmp_path / "run")
    keys = []
    for random_seed in (0, 0, 1):
        path = localizer_checkpoint(tmp_path, 20, random_seed)
        assert adopt_released(path, tiny, run=run).kind == "localizer"
        stage = run.stage("localizer")
        assert stage.origin is not None
        assert stage.origin.startswith(f"{path.name} (sha256 {sha256(path.read_bytes()).hexdigest()[:16]}")
        assert stage.is_done("a training")
        original = torch.load(path, weights_only=True)["fc8.weight"]
        assert torch.equal(load_localizer(tiny, num_classes=20, run=run).fc8.weight, original)
        keys.append(stage.key)
    assert keys[0] == keys[1] != keys[2]


def test_a_network_of_the_run_itself_is_kept(tmp_path: Path, tiny: Recipe) -> None:
    run = RunDirectory(tmp_path / "run")
    run.stage("localizer").begin("a training")
    localizer_file(run).write_bytes(b"days of work")
    with pytest.raises(InputError, match=r"/run/localizer' holds a network that this run has trained"):
        adopt_released(localizer_checkpoint(tmp_path, 20), tiny, run=run)
    assert localizer_file(run).read_bytes() == b"days of work"


OTHER = {
    "width": (20, {"localization": {"trunk_width": 1 / 32}}, "20 classes; the recipe 'voc12/full' describes another"),
    "trunk": (20, {"localization": {"trunk": "resnet18", "trunk_width": 1}}, "describes another network"),
    "classes": (80, {}, "80 classes; the recipe 'voc12/full' is for 20 classes"),
    "data": (20, {"data": {"kind": "folder"}}, r"is for classes of its own \(data.kind=folder\)"),
}


@pytest.mark.parametrize(("count", "changes", "fault"), OTHER.values(), ids=OTHER)
def test_nothing_is_adopted_by_a_recipe_of_something_else(
    tmp_path: Path, tiny: Recipe, count: int, changes: dict[str, Any], fault: str
) -> None:
    run = RunDirectory(tmp_path / "run")
    with pytest.raises(WeightsError, match=fault):
        adopt_released(localizer_checkpoint(tmp_path, count), replace(tiny, **changes), run=run)
    assert not run.root.exists()
