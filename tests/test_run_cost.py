"""What a run takes, with the demo's networks on few small images."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ktse.config import Recipe, replace
from ktse.errors import DataError
from ktse.recipes import load_recipe
from ktse.run_cost import count_parts, run_cost


@pytest.fixture(scope="module")
def tiny() -> Recipe:
    """Two steps of each training."""
    return replace(
        load_recipe("demo/quick"),
        data={"shapes_train": 4, "shapes_val": 2},
        localization={"warm_up_epochs": 1, "epochs": 3, "warm_up_batch_size": 2, "batch_size": 2, "pairs": 1,
                      "crop_size": 32, "par_iterations": 1},
        refinement={"par_iterations": 1, "par_batch": 1},
        segmentation={"epochs": 1, "batch_size": 2, "crop_size": 32},
        evaluation={"baseline": False, "fully_supervised": False},
        runtime={"inference_batch": 1},
    )  # fmt: skip


def test_every_stage_is_told_and_torch_draws_as_before(tiny: Recipe) -> None:
    state, reports = torch.random.get_rng_state(), []
    cost = run_cost(tiny, data=None, report=lambda: reports.append(1))
    assert [(stage.stage, stage.count) for stage in cost.stages] == [
        ("localizer: warm-up", 2),
        ("localizer: all losses", 4),
        ("CAMs and seeds", 4),
        ("refinement: par", 4),
        ("masks", 4),
        ("segmenter", 2),
        ("predictions", 2),
    ]
    assert len(reports) == count_parts(tiny)
    assert cost.total.seconds == pytest.approx(sum(stage.seconds or 0.0 for stage in cost.stages))
    assert torch.equal(state, torch.random.get_rng_state())
    told = cost.to_json()
    assert told["device"] == "cpu"
    assert told["seconds"] == cost.total.seconds
    assert [stage["stage"] for stage in told["stages"]] == [stage.stage for stage in cost.stages]


def test_comparisons_are_runs_of_their_own(tiny: Recipe) -> None:
    recipe = replace(tiny, evaluation={"baseline": True, "fully_supervised": True})
    reports: list[int] = []
    cost = run_cost(recipe, data=None, report=lambda: reports.append(1))
    by_name = {stage.stage: stage.seconds or 0.0 for stage in cost.stages}
    assert by_name["fully supervised"] == by_name["segmenter"] + by_name["predictions"]
    shared = sum(by_name[name] for name in ("refinement: par", "masks", "segmenter", "predictions"))
    assert by_name["baseline"] > shared
    assert len(reports) == count_parts(recipe) == 4


def test_what_cannot_be_told_says_why_and_the_rest_is_told(tiny: Recipe) -> None:
    recipe = replace(tiny, segmentation={"trunk": "resnet1O1", "trunk_weights": None})
    cost = run_cost(recipe, data=None)
    *others, segmentation = cost.stages
    assert (segmentation.stage, segmentation.seconds, segmentation.memory) == ("segmentation", None, None)
    assert "resnet1O1" in segmentation.trouble
    assert all(stage.seconds is not None for stage in others)


def test_data_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        run_cost(load_recipe("folder/cpu"), data=tmp_path / "nowhere")
