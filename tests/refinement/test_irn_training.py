from __future__ import annotations

import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ktse.artifacts import RunDirectory, read_log
from ktse.config import Recipe, replace
from ktse.data.dataset import Dataset
from ktse.data.image_io import write_label_map
from ktse.data.shapes import Shapes
from ktse.data.transforms import normalize
from ktse.engine import training_stage
from ktse.errors import DataError, RecipeError, StoppedError, WeightsError
from ktse.nets.irnet import IRNet, build_irnet, edges_of_image
from ktse.refinement import irn_training as training
from ktse.refinement.irn_batches import irn_batches
from ktse.refinement.irn_training import irnet_file, irnet_key, load_irnet, mean_displacement, train_irnet

SIDE = 32


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return Shapes("train", count=6, size=SIDE)


@pytest.fixture
def recipe() -> Recipe:
    settings = {
        "trunk": "demo", "trunk_weights": "demo", "path_radius": 3, "crop_size": SIDE, "rescale_range": (0.9, 1.1),
        "epochs": 2, "batch_size": 3,
    }  # fmt: skip
    runtime = {"accelerator": "cpu", "checkpoint_interval": 0.0, "inference_batch": 4}
    return replace(Recipe(), refinement={"irn": settings}, runtime=runtime)


@pytest.fixture
def run(tmp_path: Path, dataset: Dataset) -> RunDirectory:
    """A run with IR labels: the true masks, of which the upper rows are not known."""
    run = RunDirectory(tmp_path / "run")
    run.stage("ir_labels").begin("labelled")
    for index, id_ in enumerate(dataset.ids):
        mask = dataset.mask(index)
        assert mask is not None
        labels = mask.copy()
        labels[:4] = 255
        write_label_map(run.ir_label(id_), labels)
    run.stage("ir_labels").finish("labelled")
    return run


def same(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def losses(run: RunDirectory, name: str = "total") -> list[float]:
    return [record["losses"][name] for record in read_log(run.log()) if "losses" in record]


def displacements(net: IRNet, dataset: Dataset, recipe: Recipe) -> Tensor:
    """Mean displacement of each image by itself, (N, 2)."""
    means = []
    for index in range(len(dataset)):
        image = normalize(dataset.image(index), recipe.data.mean, recipe.data.std)
        with torch.inference_mode():
            _, displacement = net(torch.from_numpy(image).permute(2, 0, 1)[None])
        means.append(displacement.mean((0, 2, 3)))
    return torch.stack(means)


def edges(net: IRNet, dataset: Dataset, recipe: Recipe) -> tuple[float, float]:
    """Mean edge probability of the cells through which a border runs, and of the others."""
    sums, counts = np.zeros(2), np.zeros(2)
    for index in range(len(dataset)):
        image = normalize(dataset.image(index), recipe.data.mean, recipe.data.std)
        edge, _ = edges_of_image(net, torch.from_numpy(image).permute(2, 0, 1), canvas=SIDE)
        cells = dataset.mask(index).reshape(SIDE // 4, 4, SIDE // 4, 4)  # type: ignore[union-attr]
        is_border = cells.min((1, 3)) != cells.max((1, 3))
        for place, region in enumerate((is_border, ~is_border)):
            sums[place] += edge[0].numpy()[region].sum()
            counts[place] += region.sum()
    on_borders, elsewhere = sums / counts
    return float(on_borders), float(elsewhere)


def test_it_learns_the_labels_and_is_loaded_when_done(dataset: Dataset, recipe: Recipe, run: RunDirectory) -> None:
    quick = {"epochs": 12, "momentum": 0.9, "displacement_learning_rate_factor": 1.0}
    longer = replace(recipe, refinement={"irn": quick})
    net = train_irnet(dataset, longer, run=run)
    assert not net.training
    values = losses(run)
    assert len(values) == 24
    assert sum(values[-6:]) < 0.9 * sum(values[:6])
    affinity = [a + b for a, b in zip(losses(run, "positive"), losses(run, "negative"), strict=True)]
    assert sum(affinity[-6:]) < 0.97 * sum(affinity[:6])
    on_borders, elsewhere = edges(net, dataset, longer)
    assert on_borders > elsewhere + 0.05
    assert irnet_file(run).is_file()
    assert not (run.irnet / "resume.safetensors").exists()
    assert run.stage("irnet").is_done(irnet_key(dataset, longer, run=run))
    assert same(net, train_irnet(dataset, longer, run=run))
    assert same(net, load_irnet(longer, run=run))
    assert len(losses(run)) == 24, "what is done is not trained again"


def test_mean_displacement_over_the_images_is_subtracted(dataset: Dataset, recipe: Recipe, run: RunDirectory) -> None:
    net = train_irnet(dataset, recipe, run=run)
    assert net.mean_shift.running_mean.abs().max() > 1e-3
    torch.testing.assert_close(displacements(net, dataset, recipe).mean(0), torch.zeros(2), rtol=0, atol=1e-4)


def test_processes_share_the_images(dataset: Dataset, recipe: Recipe) -> None:
    """Two processes one after the other: the second knows what the first has added up."""
    torch.manual_seed(0)
    net = build_irnet("demo").eval()
    sums: list[Tensor] = []

    def process(rank: int) -> Any:
        def all_reduce(own: Tensor, reduce_op: str) -> Tensor:
            assert reduce_op == "sum"
            sums.append(own)
            return torch.stack(sums).sum(0)

        return SimpleNamespace(global_rank=rank, world_size=2, device=torch.device("cpu"), all_reduce=all_reduce)

    first, both = (mean_displacement(net, dataset, recipe, fabric=process(rank)) for rank in (0, 1))
    expected = displacements(net, dataset, recipe)
    torch.testing.assert_close(first, expected[::2].mean(0))
    torch.testing.assert_close(both, expected.mean(0))


def test_groups_have_the_published_optimizer(
    dataset: Dataset, recipe: Recipe, run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """REFERENCE 5.5, with the momentum of 2.3; the rate falls to 0 at the last step of all."""
    seen: dict[str, Any] = {}
    monkeypatch.setattr(
        training_stage, "fit", lambda task, optimizer, plan, *, fabric: seen.update(o=optimizer, p=plan)
    )
    net = train_irnet(dataset, recipe, run=run)
    edge, displacement = seen["o"].param_groups
    assert [group["factor"] for group in (edge, displacement)] == [1.0, 10.0]
    assert all(group["momentum"] == group["weight_decay"] == 1e-4 for group in (edge, displacement))
    assert {id(p) for p in edge["params"] + displacement["params"]} == {
        id(p) for p in net.parameters() if p.requires_grad
    }
    rates = [seen["p"].schedule.rate(step) for step in range(5)]
    assert rates == pytest.approx([0.1 * (1 - step / 4) ** 0.9 for step in range(5)])


def test_a_stopped_training_goes_on_to_the_bit(
    dataset: Dataset, recipe: Recipe, run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopping(*arguments: Any, epoch: int, **place: Any) -> Any:
        for batch in irn_batches(*arguments, epoch=epoch, **place):
            if epoch == 1:
                os.kill(os.getpid(), signal.SIGTERM)
            yield batch

    with monkeypatch.context() as patch, pytest.raises(StoppedError, match="step 1 of 2 in epoch 2"):
        patch.setattr(training, "irn_batches", stopping)
        train_irnet(dataset, recipe, run=run)
    resumed = train_irnet(dataset, recipe, run=run)
    assert [record["kept_steps"] for record in read_log(run.log()) if record.get("event") == "resumed"] == [3]
    run.stage("irnet").begin("other")  # removes what was trained
    assert not irnet_file(run).exists()
    assert same(train_irnet(dataset, recipe, run=run), resumed)


def test_a_stop_after_the_last_step_keeps_all_steps(
    dataset: Dataset, recipe: Recipe, run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopping(*arguments: Any) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        return normalize(*arguments)

    with monkeypatch.context() as patch, pytest.raises(StoppedError, match="after its last step"):
        patch.setattr(training, "normalize", stopping)
        train_irnet(dataset, recipe, run=run)
    assert not irnet_file(run).exists()
    net = train_irnet(dataset, recipe, run=run)
    assert len(losses(run)) == 4
    assert net.mean_shift.running_mean.any()


def test_global_random_state_is_left_alone(dataset: Dataset, recipe: Recipe, run: RunDirectory) -> None:
    state = torch.get_rng_state()
    train_irnet(dataset, replace(recipe, refinement={"irn": {"epochs": 1}}), run=run)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("changes", "stale"),
    [
        ({"refinement": {"irn": {"canvas": 64, "walk_radius": 3, "walk_power": 8, "walk_steps": 4}}}, False),
        ({"refinement": {"irn": {"background_score": 0.3, "foreground_threshold": 0.4}}}, False),
        ({"refinement": {"confident_share": 0.4, "steps": ("irn", "crf")}}, False),
        ({"localization": {"margin": 0.1}}, False),
        ({"runtime": {"workers": 3}}, False),
        ({"refinement": {"irn": {"learning_rate": 0.2}}}, True),
        ({"refinement": {"irn": {"path_radius": 4}}}, True),
        ({"refinement": {"irn": {"trunk_weights": None}}}, True),
        ({"runtime": {"random_seed": 1}}, True),
        ({"runtime": {"precision": "bf16-mixed"}}, True),
        ({"data": {"mean": (0.5, 0.5, 0.5)}}, True),
    ],
    ids=["walk", "scores and labels", "other steps", "another stage", "workers", "rate", "radius", "weights",
         "random seed", "precision", "normalisation"],
)  # fmt: skip
def test_key_changes_with_what_the_network_depends_on(
    dataset: Dataset, recipe: Recipe, run: RunDirectory, changes: dict[str, Any], stale: bool
) -> None:
    key = irnet_key(dataset, recipe, run=run)
    assert (irnet_key(dataset, replace(recipe, **changes), run=run) != key) == stale


def test_key_changes_with_the_labels_and_the_images(dataset: Dataset, recipe: Recipe, run: RunDirectory) -> None:
    key = irnet_key(dataset, recipe, run=run)
    assert irnet_key(dataset.subset(range(5)), recipe, run=run) != key
    run.stage("ir_labels").begin("labelled otherwise")
    assert irnet_key(dataset, recipe, run=run) != key


def test_what_cannot_be_trained_is_refused_before_anything_is_written(
    dataset: Dataset, recipe: Recipe, run: RunDirectory, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=r"no IR labels in .* Run refine"):
        train_irnet(dataset, recipe, run=RunDirectory(tmp_path / "empty"))
    with pytest.raises(DataError, match="has 6 images"):
        train_irnet(dataset, replace(recipe, refinement={"irn": {"batch_size": 8}}), run=run)
    with pytest.raises(RecipeError, match="too few for paths"):
        train_irnet(dataset, replace(recipe, refinement={"irn": {"path_radius": 9}}), run=run)
    assert not run.irnet.exists()


def test_network_that_was_not_trained_cannot_be_loaded(recipe: Recipe, run: RunDirectory) -> None:
    with pytest.raises(WeightsError, match="no trained network"):
        load_irnet(recipe, run=run)
