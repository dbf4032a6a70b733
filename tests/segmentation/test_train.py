from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from ktse.artifacts import RunDirectory, read_log
from ktse.config import Recipe, replace
from ktse.data.dataset import Dataset
from ktse.errors import DataError, GuardError, RecipeError, StoppedError
from ktse.segmentation import train
from ktse.segmentation.batches import segmentation_batches
from ktse.segmentation.train import segmenter_file, segmenter_key, train_segmenter


def same(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def losses(run: RunDirectory) -> list[float]:
    return [record["losses"]["cross_entropy"] for record in read_log(run.log()) if "losses" in record]


def test_it_learns_the_masks_and_is_loaded_when_done(dataset: Dataset, recipe: Recipe, run: RunDirectory) -> None:
    longer = replace(recipe, segmentation={"epochs": 12})
    network = train_segmenter(dataset, longer, run=run)
    assert not network.training
    values = losses(run)
    assert len(values) == 24
    assert sum(values[-4:]) < 0.8 * sum(values[:4])
    assert segmenter_file(run).is_file()
    assert not (run.segmenter / "resume.safetensors").exists()
    assert same(network, train_segmenter(dataset, longer, run=run))
    assert len(losses(run)) == 24, "what is done is not trained again"


def test_rate_falls_to_its_floor(dataset: Dataset, recipe: Recipe, run: RunDirectory) -> None:
    train_segmenter(dataset, replace(recipe, segmentation={"learning_rate_floor": 0.02}), run=run)
    rates = [record["rate"] for record in read_log(run.log()) if "losses" in record]
    expected = [max(0.05 * (1 - step / 4) ** 0.9, 0.02) for step in range(4)]
    assert rates == pytest.approx(expected)


def test_a_stopped_training_goes_on_to_the_bit(
    dataset: Dataset, recipe: Recipe, run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train_segmenter(dataset, recipe, run=RunDirectory(tmp_path / "whole"), labels="truth")

    def stopping(*arguments: Any, epoch: int, **place: Any) -> Any:
        for batch in segmentation_batches(*arguments, epoch=epoch, **place):
            if epoch == 1:
                os.kill(os.getpid(), signal.SIGTERM)
            yield batch

    with monkeypatch.context() as patch, pytest.raises(StoppedError, match="step 1 of 2 in epoch 2"):
        patch.setattr(train, "segmentation_batches", stopping)
        train_segmenter(dataset, recipe, run=run)
    assert same(whole, train_segmenter(dataset, recipe, run=run))
    assert [record["kept_steps"] for record in read_log(run.log()) if record.get("event") == "resumed"] == [3]


def test_truth_needs_no_pseudo_masks(dataset: Dataset, recipe: Recipe, tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    train_segmenter(dataset, recipe, run=run, labels="truth")
    assert run.stage("segmenter").is_done(segmenter_key(dataset, recipe, run=run, labels="truth"))


def test_global_random_state_is_left_alone(dataset: Dataset, recipe: Recipe, run: RunDirectory) -> None:
    state = torch.get_rng_state()
    train_segmenter(dataset, replace(recipe, segmentation={"epochs": 1}), run=run)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("changes", "stale"),
    [
        ({"segmentation": {"mirror": True, "scales": (1.0, 2.0)}}, False),
        ({"localization": {"margin": 0.1}}, False),
        ({"runtime": {"workers": 3}}, False),
        ({"segmentation": {"learning_rate": 0.1}}, True),
        ({"runtime": {"random_seed": 1}}, True),
        ({"data": {"mean": (0.5, 0.5, 0.5)}}, True),
    ],
    ids=["views", "another stage", "workers", "rate", "random seed", "normalisation"],
)
def test_key_changes_with_what_the_network_depends_on(
    dataset: Dataset, recipe: Recipe, run: RunDirectory, changes: dict[str, Any], stale: bool
) -> None:
    key = segmenter_key(dataset, recipe, run=run)
    assert (segmenter_key(dataset, replace(recipe, **changes), run=run) != key) == stale


def test_key_changes_with_the_labels_and_the_images(dataset: Dataset, recipe: Recipe, run: RunDirectory) -> None:
    key = segmenter_key(dataset, recipe, run=run)
    assert segmenter_key(dataset, recipe, run=run, labels="truth") != key
    assert segmenter_key(dataset.subset(range(9)), recipe, run=run) != key
    run.stage("masks").begin("refined otherwise")
    assert segmenter_key(dataset, recipe, run=run) != key


def test_what_cannot_be_trained_is_refused_before_anything_is_written(
    dataset: Dataset, recipe: Recipe, run: RunDirectory, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="Run refine first"):
        train_segmenter(dataset, recipe, run=RunDirectory(tmp_path / "empty"))
    with pytest.raises(DataError, match="has 10 images"):
        train_segmenter(dataset, replace(recipe, segmentation={"batch_size": 12}), run=run)
    with pytest.raises(RecipeError, match="does not divide"):
        train_segmenter(dataset, replace(recipe, segmentation={"micro_batches": 3}), run=run)
    assert not run.segmenter.exists()


def test_a_loss_that_is_not_finite_stops_the_training(dataset: Dataset, recipe: Recipe, run: RunDirectory) -> None:
    with pytest.raises(GuardError, match="loss 'cross_entropy' is"):
        train_segmenter(dataset, replace(recipe, segmentation={"learning_rate": 1e30, "epochs": 9}), run=run)
