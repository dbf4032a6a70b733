"""Co-training in two processes, and killed in mid-epoch: the losses are those of one undisturbed process."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import yaml

from integration.conftest import finish, start
from ktse.artifacts import RunDirectory, read_log
from ktse.config import Recipe, replace
from ktse.data.image_io import write_confidence, write_label_map
from ktse.data.shapes import Shapes
from ktse.segmentation.train import segmenter_file, train_segmenter

IMAGES, STEPS, EPOCHS = 40, 10, 2

Losses = dict[tuple[int, int], dict[str, float]]


@pytest.fixture(scope="module")
def recipe(tiny: Recipe) -> Recipe:
    """Two epochs of ten steps; the second mixes by online labels, of which many are trusted."""
    return replace(
        tiny,
        data={"shapes_train": IMAGES},
        segmentation={
            "method": "co_training", "normalization_layers": "frozen", "epochs": EPOCHS, "batch_size": 4,
            "learning_rate": 0.002,
            "co_training": {"warm_up_epochs": 1, "online_threshold": 0.8, "mix_probability": 0.8},
        },
    )  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Sum in the same order as the processes that are compared, which have one thread each."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def run_with_masks(root: Path) -> RunDirectory:
    """A run after refinement: the true masks, trusted where an image is bright."""
    run, data = RunDirectory(root), Shapes("train", count=IMAGES)
    run.stage("masks").begin("refined")
    for index, id_ in enumerate(data.ids):
        mask = data.mask(index)
        assert mask is not None
        write_label_map(run.mask(id_), mask)
        write_confidence(run.confidence(id_), data.image(index).mean(axis=2) > 100)
    run.stage("masks").finish("refined")
    return run


def recipe_file(folder: Path, recipe: Recipe) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe.model_dump(mode="json")))
    return path


def losses(run: RunDirectory) -> Losses:
    """Return the losses of each step; a step that was done twice counts as it was done last."""
    return {(line["epoch"], line["step"]): line["losses"] for line in read_log(run.log()) if "losses" in line}


def differences(a: Losses, b: Losses) -> list[float]:
    assert a.keys() == b.keys() == {(epoch, step) for epoch in range(EPOCHS) for step in range(STEPS)}
    return [max(abs(a[place][name] - b[place][name]) for name in a[place]) for place in a]


@pytest.fixture(scope="module")
def whole(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Losses:
    """Losses of one undisturbed process that takes each batch in two parts."""
    run = run_with_masks(tmp_path_factory.mktemp("whole"))
    data = Shapes("train", count=IMAGES)
    train_segmenter(data, replace(recipe, segmentation={"micro_batches": 2}), run=run)
    return losses(run)


def test_two_processes_train_what_one_does_with_two_micro_batches(
    recipe: Recipe, whole: Losses, tmp_path: Path
) -> None:
    run = run_with_masks(tmp_path / "run")
    _, _, err = finish(
        start("train", "segmenter", run.root, "--recipe", recipe_file(tmp_path, recipe), torchrun=2), timeout=600
    )
    assert segmenter_file(run).is_file(), err[-2000:]
    assert max(differences(losses(run), whole)) <= 1e-4
    for epoch in range(EPOCHS):
        terms = [terms for place, terms in whole.items() if place[0] == epoch]
        assert len({round(term["total"], 3) for term in terms}) == STEPS, "no two steps are alike"
        for name in ("trusted_1", "trusted_2", "cross_1", "cross_2"):
            assert sum(term[name] > 0 for term in terms) > STEPS / 2, f"{name} is seldom at work"


def test_killed_in_mid_epoch_it_goes_on_as_if_nothing_had_been(recipe: Recipe, whole: Losses, tmp_path: Path) -> None:
    run, parted = run_with_masks(tmp_path / "run"), replace(recipe, segmentation={"micro_batches": 2})
    process = start("train", "segmenter", run.root, "--recipe", recipe_file(tmp_path, parted))
    deadline = time.monotonic() + 120
    while len(losses(run)) < STEPS + 3 and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    code, _, err = finish(process)
    assert code == -9, err
    assert STEPS + 3 <= len(losses(run)) < STEPS * EPOCHS, "killed in the middle of the second epoch"
    train_segmenter(Shapes("train", count=IMAGES), parted, run=run)
    (resumed,) = (line for line in read_log(run.log()) if line.get("event") == "resumed")
    assert resumed["epoch"] == 1
    assert resumed["step"] > 0
    assert max(differences(losses(run), whole)) <= 1e-6
