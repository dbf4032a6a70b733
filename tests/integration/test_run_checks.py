"""What is refused or warned of before work begins, and what of a run is as its recipe says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ktse.artifacts import RunDirectory
from ktse.config import Recipe, replace
from ktse.errors import InputError, KtseWarning, WeightsError
from ktse.pipeline import run_recipe


def test_a_trunk_that_learned_from_other_colours_is_warned_of(tiny: Recipe, tmp_path: Path) -> None:
    other = replace(tiny, localization={"trunk": "tf_efficientnet_lite0", "trunk_weights": "lite0.safetensors"})
    with (
        pytest.warns(KtseWarning, match=r"localization\.trunk .* mean 0\.5,0\.5,0\.5 .* Set data\.mean and data\.std"),
        pytest.raises(WeightsError, match="no trained localizer"),
    ):
        run_recipe(other, data=None, out=tmp_path / "run", stages=["cams"])


@pytest.mark.parametrize(
    "changes",
    [{"localization": {"scales": (0.5,)}}, {"runtime": {"random_seed": 1}}, {"data": {"mean": (0.5, 0.5, 0.5)}}],
    ids=["views", "random seed", "colours"],
)
def test_what_other_settings_have_made_gets_no_score_with_a_false_protocol(
    copied: RunDirectory, tiny: Recipe, changes: dict[str, Any]
) -> None:
    before = {path: path.read_bytes() for path in (copied.scores, copied.recipe)}
    with pytest.raises(InputError, match=r"cams, masks, predictions in .* other settings"):
        run_recipe(replace(tiny, **changes), data=None, out=copied.root, stages=["scores"])
    assert {path: path.read_bytes() for path in before} == before


def test_stale_stages_are_left_out_of_the_scores_and_named(copied: RunDirectory, tiny: Recipe) -> None:
    alone = replace(tiny, evaluation={"baseline": False, "fully_supervised": False})
    changed = replace(alone, refinement={"background_score": 0.47})
    with pytest.warns(KtseWarning, match="^masks, predictions in .* not scored"):
        scores = run_recipe(changed, data=None, out=copied.root, stages=["scores"])
    assert {score.stage for score in scores} == {"seeds"}
    run_recipe(changed, data=None, out=copied.root, stages=["masks"])
    with pytest.warns(KtseWarning, match="^predictions in .* not scored"):
        scores = run_recipe(changed, data=None, out=copied.root, stages=["scores"])
    assert {score.stage for score in scores} == {"seeds", "masks"}
    assert [score.protocol.threshold for score in scores if score.stage == "masks"] == [0.47]


def test_a_single_stage_says_that_it_starts_from_something_stale(copied: RunDirectory, tiny: Recipe) -> None:
    run_recipe(replace(tiny, refinement={"background_score": 0.47}), data=None, out=copied.root, stages=["masks"])
    with pytest.warns(KtseWarning, match="^predictions will be made from segmenter in .*, made with other settings"):
        changed = replace(tiny, refinement={"background_score": 0.47}, evaluation={"baseline": False})
        run_recipe(changed, data=None, out=copied.root, stages=["predictions"])


def test_a_setting_that_does_not_fit_costs_neither_maps_nor_recipe(copied: RunDirectory, tiny: Recipe) -> None:
    maps, recipe = sorted(copied.cams("a").parent.rglob("*.npz")), copied.recipe.read_bytes()
    with pytest.warns(KtseWarning, match="^cams will be made from"), pytest.raises(WeightsError):
        wider = replace(tiny, localization={"head_width": tiny.localization.head_width * 2, "scales": (0.7,)})
        run_recipe(wider, data=None, out=copied.root, stages=["cams"])
    assert maps
    assert sorted(copied.cams("a").parent.rglob("*.npz")) == maps
    assert copied.recipe.read_bytes() == recipe


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"segmentation": {"trunk": "no_such_net", "trunk_weights": None}}, "no trunk 'no_such_net'"),
        ({"segmentation": {"trunk_weights": "lost.safetensors"}}, r"lost\.safetensors"),
        ({"refinement": {"steps": ("irn",), "irn": {"trunk": "no_such_net", "trunk_weights": None}}}, "no_such_net"),
        ({"localization": {"output_stride": 16}}, "output stride"),
    ],
    ids=["segmenter", "its weights", "IRN", "localizer"],
)
def test_networks_that_cannot_be_built_are_refused_before_any_work(
    tiny: Recipe, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        run_recipe(replace(tiny, **changes), data=None, out=tmp_path / "run")
    assert not (tmp_path / "run" / "localizer").exists()
    assert not (tmp_path / "run" / "recipe.yaml").exists()
