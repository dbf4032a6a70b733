from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from ktse.artifacts import RunDirectory, read_cams
from ktse.config import Recipe, replace
from ktse.data.shapes import Shapes
from ktse.engine.network_file import write_network
from ktse.errors import GuardError, WeightsError
from ktse.localization import train as module
from ktse.localization.infer import localize
from ktse.localization.train import build, load_localizer, localizer_file, localizer_key, train_localizer


def log(run: RunDirectory) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run.log().read_text().splitlines()]


@pytest.fixture(scope="module")
def trained(world: Shapes, tiny: Recipe, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    run = RunDirectory(tmp_path_factory.mktemp("run"))
    train_localizer(world, tiny, run=run)
    return run


def test_every_loss_is_logged_under_its_own_name(trained: RunDirectory, tiny: Recipe) -> None:
    """The published log prints the total as the classification loss (REFERENCE 3.2); ours adds up."""
    warm_up, steps = log(trained)[:2], log(trained)[2:]
    weights = tiny.localization.weights.model_dump()
    assert len(steps) == 2
    assert all(set(step["losses"]) == {"classification", "total"} for step in warm_up)
    assert all(set(step["losses"]) == {*(name for name in weights if weights[name]), "total"} for step in steps)
    # the ramp is at 0 at the first of these steps: only the classification counts
    first = steps[0]["losses"]
    assert first["total"] == pytest.approx(weights["classification"] * first["classification"], rel=1e-5)


def test_the_trained_network_is_what_is_loaded(trained: RunDirectory, world: Shapes, tiny: Recipe) -> None:
    assert not (trained.localizer / "resume.safetensors").exists()
    again = train_localizer(world, tiny, run=trained)
    loaded = load_localizer(tiny, num_classes=7, run=trained)
    assert not loaded.training
    assert all(
        torch.equal(a, b) for a, b in zip(again.state_dict().values(), loaded.state_dict().values(), strict=True)
    )
    assert len(log(trained)) == 4, "a finished training is not repeated"


def test_same_seed_same_network_other_seed_another(
    trained: RunDirectory, world: Shapes, tiny: Recipe, tmp_path: Path
) -> None:
    same = train_localizer(world, tiny, run=RunDirectory(tmp_path / "same"))
    other = train_localizer(world, replace(tiny, runtime={"random_seed": 1}), run=RunDirectory(tmp_path / "other"))
    loaded = load_localizer(tiny, num_classes=7, run=trained)
    assert torch.equal(same.fc9.weight, loaded.fc9.weight)
    assert not torch.equal(other.fc9.weight, loaded.fc9.weight)


def test_stopped_in_mid_epoch_goes_on_at_the_next_step(
    trained: RunDirectory, world: Shapes, tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, whole = RunDirectory(tmp_path), module.localizer_batches
    recipe = replace(tiny, runtime={"checkpoint_interval": 0.0})

    def dying(*arguments: Any, **keywords: Any) -> Any:
        for step, batch in enumerate(whole(*arguments, **keywords), keywords["start_step"]):
            if (keywords["epoch"], step) == (1, 1):
                raise KeyError("killed")
            yield batch

    monkeypatch.setattr(module, "localizer_batches", dying)
    with pytest.raises(KeyError, match="killed"):
        train_localizer(world, recipe, run=run)
    monkeypatch.setattr(module, "localizer_batches", whole)
    resumed = train_localizer(world, recipe, run=run)
    event = next(line for line in log(run) if line.get("event") == "resumed")
    assert (event["epoch"], event["step"], event["kept_steps"]) == (1, 1, 3)
    expected = load_localizer(tiny, num_classes=7, run=trained).state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in resumed.state_dict().items())


@pytest.mark.parametrize(
    ("changes", "retrains"),
    [
        ({"localization": {"margin": 0.1}}, True),
        ({"runtime": {"random_seed": 2}}, True),
        ({"localization": {"seed_threshold": 0.4, "scales": (1.0, 2.0)}}, False),
        ({"localization": {"collapse_activation": 0.1, "guard_steps": 5}}, False),
        ({"runtime": {"workers": 2, "inference_batch": 4}, "segmentation": {"epochs": 3}}, False),
    ],
    ids=["a loss", "random seed", "inference", "guard", "later stages"],
)
def test_key_changes_with_what_the_network_depends_on(
    world: Shapes, tiny: Recipe, changes: dict[str, Any], retrains: bool
) -> None:
    keys = [localizer_key(world, recipe) for recipe in (tiny, replace(tiny, **changes))]
    assert (keys[0] != keys[1]) is retrains


def test_key_changes_with_the_content_of_a_weights_file_and_not_with_its_name(
    tmp_path: Path, world: Shapes, tiny: Recipe
) -> None:
    def key(name: str, content: bytes) -> str:
        (tmp_path / name).write_bytes(content)
        return localizer_key(world, replace(tiny, localization={"trunk_weights": str(tmp_path / name)}))

    assert key("a.pth", b"one") == key("b.pth", b"one")
    assert key("a.pth", b"one") != key("a.pth", b"two")


def test_cams_belong_to_the_network_that_drew_them(tmp_path: Path, world: Shapes, tiny: Recipe) -> None:
    run, one_image = RunDirectory(tmp_path), world.subset([0])
    path, faster = run.cams(world.ids[0]), replace(tiny, localization={"learning_rate": 0.2})

    def draw(recipe: Recipe) -> NDArray[np.floating]:
        localize(one_image, recipe, run=run)
        return read_cams(path).scores

    with pytest.raises(WeightsError, match="no trained localizer"):
        draw(tiny)
    train_localizer(world, tiny, run=run)
    first = draw(tiny)
    stamp = path.stat().st_mtime_ns
    assert np.array_equal(draw(faster), first), "how the network would be trained now is not what it is"
    assert path.stat().st_mtime_ns == stamp
    train_localizer(world, faster, run=run)
    assert not np.array_equal(draw(faster), first)


def test_an_adopted_localizer_is_taken_as_it_is_and_has_its_own_cams(
    tmp_path: Path, world: Shapes, tiny: Recipe
) -> None:
    run, one_image = RunDirectory(tmp_path), world.subset([0])
    scores, weights = [], []
    for name in ("a.pth", "b.pth"):
        given = build(tiny.localization, num_classes=world.classes.count, weights="demo")
        given.fc8.weight.data.normal_(generator=torch.Generator().manual_seed(len(weights)))
        run.stage("localizer").begin(name)
        write_network(localizer_file(run), given, {})
        run.stage("localizer").finish(name, origin=name)
        weights.append(train_localizer(one_image, tiny, run=run).fc8.weight)
        assert torch.equal(weights[-1], given.fc8.weight), "nothing was trained"
        localize(one_image, tiny, run=run)
        scores.append(read_cams(run.cams(world.ids[0])).scores)
    assert not torch.equal(*weights)
    assert not np.array_equal(*scores), "CAMs of another localizer are stale"


def test_localize_writes_cams_and_seeds_and_only_what_is_missing(
    trained: RunDirectory, world: Shapes, tiny: Recipe
) -> None:
    localize(world, tiny, run=trained)
    files = {path: path.stat().st_mtime_ns for path in (trained.root / "cams").rglob("*.npz")}
    assert len(files) == len(list((trained.root / "seeds").rglob("*.png"))) == 12
    gone = trained.cams(world.ids[3])
    gone.unlink()
    (trained.root / "cams" / "stage.json").write_text(
        (trained.root / "cams" / "stage.json").read_text().replace("done", "running")
    )
    localize(world, tiny, run=trained)
    later = {path: path.stat().st_mtime_ns for path in (trained.root / "cams").rglob("*.npz")}
    assert [path for path in files if files[path] != later[path]] == [gone]
    assert next(line for line in reversed(log(trained)) if line.get("stage") == "cams")["kept"] == 11


def test_another_threshold_cuts_new_seeds_from_the_same_cams(
    trained: RunDirectory, world: Shapes, tiny: Recipe
) -> None:
    localize(world, tiny, run=trained)
    cams, seed = trained.cams(world.ids[0]), trained.seed(world.ids[0])
    before = (cams.stat().st_mtime_ns, seed.stat().st_mtime_ns)
    localize(world, replace(tiny, localization={"seed_threshold": 0.5}), run=trained)
    assert cams.stat().st_mtime_ns == before[0]
    assert seed.stat().st_mtime_ns != before[1]
    assert any(line.get("event") == "stale" and line["stage"] == "seeds" for line in log(trained))


def test_missing_network_is_named(tiny: Recipe, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no trained network"):
        load_localizer(tiny, num_classes=7, run=RunDirectory(tmp_path))


def test_a_diverging_training_stops_with_the_name_of_the_loss(world: Shapes, tiny: Recipe, tmp_path: Path) -> None:
    wild = replace(tiny, localization={"learning_rate": 1e12, "gradient_clip": None, "epochs": 2})
    with pytest.raises(GuardError, match="classification"):
        train_localizer(world, wild, run=RunDirectory(tmp_path))


def test_activation_that_vanishes_stops_the_training(world: Shapes, tiny: Recipe, tmp_path: Path) -> None:
    """A head whose rate is absurd: weight decay alone takes nine tenths of it away at every step."""
    absurd = {
        "head_learning_rate_factor": 36.0, "learning_rate": 0.05, "weight_decay": 0.5, "momentum": 0.0,
        "gradient_clip": 1e-3, "warm_up_epochs": 6, "epochs": 6, "guard_steps": 4,
    }  # fmt: skip
    run = RunDirectory(tmp_path)
    with pytest.raises(GuardError, match="the class activation maps have collapsed to 0: the mean of 'cam_activation'"):
        train_localizer(world, replace(tiny, localization=absurd), run=run)
    values = [line["monitors"]["cam_activation"] for line in log(run)]
    assert values[0] > 0.1
    assert sum(values[-4:]) / 4 < tiny.localization.collapse_activation <= sum(values[-5:-1]) / 4
    never = {**absurd, "collapse_activation": 0.0}
    train_localizer(world, replace(tiny, localization=never), run=RunDirectory(tmp_path / "never"))


def test_activation_is_logged_and_stays_in_normal_training(trained: RunDirectory, tiny: Recipe) -> None:
    values = [line["monitors"]["cam_activation"] for line in log(trained)[:4]]
    assert min(values) > 10 * tiny.localization.collapse_activation


def test_mixed_precision_stays_near_full_precision(world: Shapes, tiny: Recipe, tmp_path: Path) -> None:
    recipe = replace(tiny, runtime={"precision": "bf16-mixed"})
    run = RunDirectory(tmp_path)
    network = train_localizer(world, recipe, run=run)
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}
    full = RunDirectory(tmp_path / "full")
    train_localizer(world, tiny, run=full)
    for mixed, exact in zip(log(run), log(full), strict=True):
        assert mixed["losses"]["classification"] == pytest.approx(exact["losses"]["classification"], rel=0.05)


def test_micro_batches_do_not_change_what_is_learned(world: Shapes, tiny: Recipe, tmp_path: Path) -> None:
    """Of the warm-up, whose loss is a mean over images; norm layers see other batches, so they are frozen."""
    frozen = {"normalization_layers": "frozen", "epochs": 1}
    whole, parts = RunDirectory(tmp_path / "whole"), RunDirectory(tmp_path / "parts")
    train_localizer(world, replace(tiny, localization=frozen), run=whole)
    train_localizer(world, replace(tiny, localization={**frozen, "micro_batches": 3}), run=parts)
    for a, b in zip(log(whole), log(parts), strict=True):
        assert a["losses"]["total"] == pytest.approx(b["losses"]["total"], rel=1e-4)
