from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from ktse.artifacts import RunDirectory, read_log
from ktse.config import Recipe, SegmentationSettings, replace
from ktse.data.dataset import Dataset
from ktse.data.image_io import write_confidence, write_label_map
from ktse.errors import DataError, GuardError, RecipeError, StoppedError
from ktse.nets.deeplab_pair import DeepLabPair
from ktse.nets.normalization import batch_norms
from ktse.segmentation import train
from ktse.segmentation.train import guards, segmenter_file, segmenter_key, train_segmenter


def same(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def losses(run: RunDirectory, name: str = "cross_entropy") -> list[float]:
    return [record["losses"][name] for record in read_log(run.log()) if "losses" in record]


@pytest.fixture
def paired(recipe: Recipe) -> Recipe:
    """Co-training whose second epoch mixes by online labels."""
    return replace(
        recipe, segmentation={"method": "co_training", "co_training": {"warm_up_epochs": 1, "online_threshold": 0.4}}
    )


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


def test_two_networks_learn_together_and_are_loaded_when_done(
    dataset: Dataset, paired: Recipe, run: RunDirectory
) -> None:
    longer = replace(paired, segmentation={"epochs": 12})
    network = train_segmenter(dataset, longer, run=run)
    assert isinstance(network, DeepLabPair)
    assert not network.training
    assert not same(network.network1, network.network2)
    for name in ("trusted_1", "trusted_2"):
        values = losses(run, name)
        assert len(values) == 24
        assert sum(values[-4:]) < 0.8 * sum(values[:4])
    assert same(network, train_segmenter(dataset, longer, run=run))
    assert len(losses(run, "cross_1")) == 24, "what is done is not trained again"


def test_rate_falls_to_its_floor(dataset: Dataset, recipe: Recipe, run: RunDirectory) -> None:
    train_segmenter(dataset, replace(recipe, segmentation={"learning_rate_floor": 0.02}), run=run)
    rates = [record["rate"] for record in read_log(run.log()) if "losses" in record]
    expected = [max(0.05 * (1 - step / 4) ** 0.9, 0.02) for step in range(4)]
    assert rates == pytest.approx(expected)


@pytest.mark.parametrize("method", ["plain", "co_training"])
def test_a_stopped_training_goes_on_to_the_bit(
    dataset: Dataset, recipe: Recipe, paired: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    chosen = replace(recipe if method == "plain" else paired, segmentation={"collapse_share": 0})
    whole = train_segmenter(dataset, chosen, run=RunDirectory(tmp_path / "whole"), labels="truth")
    run = RunDirectory(tmp_path / "stopped")
    reader = "segmentation_batches" if method == "plain" else "co_training_batches"
    batches_of = getattr(train, reader)

    def stopping(*arguments: Any, epoch: int, **place: Any) -> Any:
        for batch in batches_of(*arguments, epoch=epoch, **place):
            if epoch == 1:
                os.kill(os.getpid(), signal.SIGTERM)
            yield batch

    with monkeypatch.context() as patch, pytest.raises(StoppedError, match="step 1 of 2 in epoch 2"):
        patch.setattr(train, reader, stopping)
        train_segmenter(dataset, chosen, run=run, labels="truth")
    assert same(whole, train_segmenter(dataset, chosen, run=run, labels="truth"))
    assert [record["kept_steps"] for record in read_log(run.log()) if record.get("event") == "resumed"] == [3]


def test_the_limit_of_pixels_holds_for_pseudo_masks(dataset: Dataset, recipe: Recipe, run: RunDirectory) -> None:
    with pytest.raises(DataError, match="at most 1000 are read"):
        train_segmenter(dataset, replace(recipe, data={"max_pixels": 1000}), run=run)


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
        ({"segmentation": {"mirror": True, "scales": (1.0, 2.0), "use_crf": True}}, False),
        ({"segmentation": {"collapse_share": 0.0, "guard_steps": 7}}, False),
        ({"segmentation": {"co_training": {"warm_up_epochs": 3}}}, False),
        ({"segmentation": {"trusted_only": True}}, True),
        ({"segmentation": {"method": "co_training"}}, True),
        ({"localization": {"margin": 0.1}}, False),
        ({"runtime": {"workers": 3}}, False),
        ({"segmentation": {"learning_rate": 0.1}}, True),
        ({"runtime": {"random_seed": 1}}, True),
        ({"data": {"mean": (0.5, 0.5, 0.5)}}, True),
    ],
    ids=[
        "views",
        "guards",
        "another method's",
        "trust",
        "method",
        "another stage",
        "workers",
        "rate",
        "random seed",
        "normalisation",
    ],
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


def test_key_of_co_training_changes_with_what_it_looks_at(dataset: Dataset, paired: Recipe, run: RunDirectory) -> None:
    key = segmenter_key(dataset, paired, run=run)
    assert segmenter_key(dataset, replace(paired, segmentation={"trusted_only": True}), run=run) == key
    other = replace(paired, segmentation={"co_training": {"warm_up_epochs": 3}})
    assert segmenter_key(dataset, other, run=run) != key


@pytest.mark.parametrize(("layers", "learns"), [("trained", True), ("synchronized", True), ("frozen", False)])
@pytest.mark.parametrize("method", ["plain", "co_training"])
def test_batch_normalisation_learns_or_not(
    dataset: Dataset, recipe: Recipe, run: RunDirectory, layers: str, learns: bool, method: str
) -> None:
    settings = {"normalization_layers": layers, "epochs": 1, "method": method, "co_training": {"warm_up_epochs": 0}}
    network = train_segmenter(dataset, replace(recipe, segmentation=settings), run=run)
    norms = list(batch_norms(network))
    assert len(norms) > 3
    for norm in norms:
        assert (norm.num_batches_tracked == (2 if learns else 0)).all()
        assert bool((norm.running_mean != 0).any()) == learns
        assert bool((norm.bias != 0).any()) == learns


def test_limits_of_the_guards() -> None:
    settings = SegmentationSettings(collapse_share=0.01, ignored_share=0.9, guard_steps=7)

    def passed_by(predicted: float, ignored: float, labelled: float) -> list[bool]:
        collapse, lost = guards(settings, labelled_share=labelled)
        assert (collapse.monitor, lost.monitor) == ("predicted_foreground", "ignored")
        assert collapse.steps == lost.steps == 7
        return [collapse.is_passed_by(predicted), lost.is_passed_by(ignored)]

    assert passed_by(0.009, 0.91, labelled=0.3) == [True, True]
    assert passed_by(0.011, 0.89, labelled=0.3) == [False, False]
    assert passed_by(0.004, 0.0, labelled=0.03) == [False, False], "small objects"
    assert passed_by(0.002, 0.0, labelled=0.03) == [True, False]
    assert passed_by(0.0, 0.0, labelled=0.0) == [False, False], "nothing but background to learn"
    never = guards(SegmentationSettings(collapse_share=0, ignored_share=1), labelled_share=0.3)
    assert [guard.is_passed_by(value) for guard, value in zip(never, (0.0, 1.0), strict=True)] == [False, False]


def test_predictions_that_collapse_stop_the_training(dataset: Dataset, recipe: Recipe, run: RunDirectory) -> None:
    """The first steps at a high rate learn that most is background."""
    with pytest.raises(GuardError, match="collapsed to background"):
        train_segmenter(dataset, replace(recipe, segmentation={"guard_steps": 1}), run=run)


def test_labels_that_are_mostly_ignored_stop_the_training(dataset: Dataset, recipe: Recipe, run: RunDirectory) -> None:
    for id_ in dataset.ids:
        write_confidence(run.confidence(id_), np.zeros((32, 32), np.bool_))
    ignoring = replace(recipe, segmentation={"trusted_only": True, "guard_steps": 2})
    with pytest.raises(GuardError, match=r"nearly all labels are ignored.*mean of 'ignored' over 2 steps is 1"):
        train_segmenter(dataset, ignoring, run=run)


def test_masks_of_nothing_but_background_can_be_learned(dataset: Dataset, recipe: Recipe, run: RunDirectory) -> None:
    for id_ in dataset.ids:
        write_label_map(run.mask(id_), np.zeros((32, 32), np.uint8))
    train_segmenter(dataset, replace(recipe, segmentation={"guard_steps": 1}), run=run)


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
