"""What others have released, in its own layout: three roads to the paper's numbers by commands alone, without training.

The networks are small and know nothing, so that the numbers mean nothing; that they are those of the released networks
is told from the files on the way, which the networks give directly, too.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import ktse
from ktse.artifacts import RunDirectory, read_cams
from ktse.cli.main import app
from ktse.data.classes import VOC_CLASSES
from ktse.data.image_io import read_label_map
from ktse.localization.infer import infer_cams
from ktse.nets.deeplab import build_deeplab
from ktse.nets.deeplab_pair import DeepLabPair
from ktse.nets.irnet import build_irnet
from ktse.nets.localizer import build_localizer
from ktse.nets.published_deeplab import released_name
from ktse.nets.published_irnet import published_name as name_in_irn
from ktse.nets.published_localizer import published_name
from ktse.recipes import load_recipe
from ktse.segmentation.segmenter import Segmenter
from reference.voc_tree import make_voc

QUICK = {
    "voc12/table1/seed": ("localization.trunk_width=0.015625", "localization.head_width=8"),
    "voc12/table1/irn": (
        "localization.trunk_width=0.015625", "localization.head_width=8", "localization.scales=[1.0]",
        "refinement.irn.trunk=resnet18", "refinement.irn.canvas=32", "refinement.irn.walk_steps=2",
    ),
    "voc12/table3": (
        "segmentation.trunk=resnet18", "segmentation.inference_size=32", "segmentation.scales=[1.0]",
        "segmentation.crf.iterations=1",
    ),
}  # fmt: skip
"""Recipes of the roads, and what makes each quick; of the rest only `data.train_split` is not the recipe's own."""


@pytest.fixture(scope="module")
def voc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_voc(tmp_path_factory.mktemp("data"))


def run_command(*words: str | Path) -> str:
    result = CliRunner().invoke(app, [*map(str, words)])
    assert result.exit_code == 0, result.output
    return result.stdout


def adopt(path: Path, run: Path, recipe: str) -> None:
    changes = [word for change in (*QUICK[recipe], "data.train_split=train") for word in ("--set", change)]
    printed = run_command("weights", "adopt", path, run, "--recipe", recipe, *changes)
    assert f"go on with: ktse {'predict' if 'best' in path.name else 'localize'} {run}" in printed


def row_of(printed: str) -> list[str]:
    return next(line for line in printed.splitlines() if line.startswith("> ")).split()


@pytest.fixture(scope="module")
def localizer(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, nn.Module]:
    torch.manual_seed(0)
    network = build_localizer("resnet38d", 20, width=1 / 64, head_width=8)
    path = tmp_path_factory.mktemp("released") / "039net_main.pth"
    torch.save({published_name(name): tensor for name, tensor in network.state_dict().items()}, path)
    return path, network.eval()


def test_the_localizer_gives_the_seeds(tmp_path: Path, voc: Path, localizer: tuple[Path, nn.Module]) -> None:
    path, network = localizer
    run = RunDirectory(tmp_path / "run")
    adopt(path, run.root, "voc12/table1/seed")
    run_command("localize", run.root, "--data", voc)
    printed = run_command("evaluate", run.root, "--data", voc, "--against", "table1")

    assert row_of(printed)[:2] == [">", "voc12/table1/seed"]
    assert "KTSE (the paper)" in printed
    assert "localizer of 039net_main.pth (sha256 " in printed
    assert "random seed" not in printed, "nothing was trained with it"
    assert "039net_main.pth" in json.loads(run.manifest.read_text())["stages"]["localizer"]["origin"]
    data = ktse.VOC12(voc, "train")
    (cams,) = infer_cams(network, data.image(1)[None], data.tags[[1]], ktse.load_recipe(str(run.recipe)))
    found = read_cams(run.cams(data.ids[1]))
    assert found.present.tolist() == [19]
    np.testing.assert_allclose(found.scores, cams.scores, atol=1e-3)


def test_irn_goes_on_from_the_localizer(tmp_path: Path, voc: Path, localizer: tuple[Path, nn.Module]) -> None:
    network = build_irnet("resnet18")
    path = tmp_path / "res50_irn.pth"
    torch.save({name_in_irn(name): tensor for name, tensor in network.state_dict().items()}, path)
    run = RunDirectory(tmp_path / "run")
    adopt(localizer[0], run.root, "voc12/table1/irn")
    run_command("localize", run.root, "--data", voc)
    assert "ktse refine" in run_command("weights", "adopt", path, run.root)
    run_command("refine", run.root, "--data", voc)
    printed = run_command("evaluate", run.root, "--data", voc, "--against", "table1")
    assert len(row_of(printed)) == 4, "seeds and masks"
    masks = next(line for line in printed.splitlines() if line.startswith("pseudo masks: "))
    assert "localizer of 039net_main.pth (sha256 " in masks
    assert "irnet of res50_irn.pth (sha256 " in masks
    assert not (run.root / "ir_labels").exists()


def test_the_segmenter_gives_the_predictions(tmp_path: Path, voc: Path) -> None:
    torch.manual_seed(1)
    pair = DeepLabPair(*(build_deeplab("resnet18", 21) for _ in range(2))).eval()
    networks = {
        name: {released_name(key): tensor for key, tensor in network.state_dict().items()}
        for name, network in pair.named_children()
    }
    path = tmp_path / "best_ckpt_KTSE_73.0.pth"
    torch.save({"net_state_dict": networks, "best": np.float64(73.0)}, path)
    run = RunDirectory(tmp_path / "run")
    adopt(path, run.root, "voc12/table3")
    run_command("predict", run.root, "--data", voc)
    printed = run_command("evaluate", run.root, "--data", voc, "--against", "table3")

    assert row_of(printed)[:3] == [">", "voc12/table3", "I"]
    assert "mean of 2 networks" in printed
    assert "segmenter of best_ckpt_KTSE_73.0.pth (sha256 " in printed
    assert "random seed" not in printed
    val = ktse.VOC12(voc, "val")
    directly = Segmenter(pair, VOC_CLASSES, load_recipe(str(run.recipe))).predict(val.image(0))
    np.testing.assert_array_equal(read_label_map(run.prediction(val.ids[0])), directly)
