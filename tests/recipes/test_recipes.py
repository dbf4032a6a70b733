from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ktse.config import LossWeights, Recipe, Section, replace
from ktse.errors import RecipeError
from ktse.recipes import RECIPES, load_recipe
from ktse.recipes.components import ROWS, weights_with
from ktse.recipes.dialects import PAPER, PUBLISHED


def test_names_are_keys_and_every_recipe_says_what_it_is() -> None:
    assert all(name == recipe.name and recipe.summary for name, recipe in RECIPES.items())
    assert {"demo", "demo/quick", "folder/cpu", "folder/gpu", "voc12/full", "voc12/published", "voc12/paper"} <= set(
        RECIPES
    )


def test_paper_constants_hold_in_every_voc_recipe() -> None:
    """The five constants of paper 3.3-3.5 (REFERENCE 3.4 no. 19)."""
    for name in ("voc12/full", "voc12/published", "voc12/paper"):
        s = load_recipe(name).localization
        assert (s.foreground_threshold, s.background_threshold, s.object_threshold, s.erase_threshold) == (
            0.3,
            0.15,
            0.2,
            0.6,
        )
        assert (s.weights.foreground, s.weights.inter_class) == (0.0125, 0.005)


def test_dialects_differ_from_the_default_in_what_they_name_only() -> None:
    default = Recipe().localization.model_dump()
    for changes in (PAPER, PUBLISHED):
        assert all(default[name] != value for name, value in changes.items())
    published = load_recipe("voc12/published").localization.model_dump()
    assert {name for name in default if default[name] != published[name]} == set(PUBLISHED)


def test_unpublished_optimiser_is_as_published_in_every_dialect() -> None:
    for name in ("voc12/full", "voc12/published", "voc12/paper"):
        s = load_recipe(name).localization
        assert (s.momentum, s.horizon, s.head_learning_rate_factor, s.count_padding) == (
            5e-4,
            "warm_up_batches",
            1.0,
            True,
        )


@pytest.mark.parametrize(
    ("row", "on"),
    [
        ("base", {"classification"}),
        ("sie", {"classification", "knowledge_transfer"}),
        ("ssr", {"classification", "background", "foreground", "inter_class"}),
        ("mga", {"classification", "global_alignment", "local_alignment"}),
        ("sie-ssr", {"classification", "knowledge_transfer", "background", "foreground", "inter_class",
                     "joint_background", "joint_foreground"}),
        ("all", set(LossWeights.model_fields)),
    ],
    ids=list(ROWS),
)  # fmt: skip
def test_rows_of_table_6(row: str, on: set[str]) -> None:
    assert {name for name, weight in weights_with(ROWS[row]).items() if weight > 0} == on


def test_every_default_carries_meaning_and_source() -> None:
    def walk(section: type[Section], path: str) -> list[str]:
        bare = []
        for name, field in section.model_fields.items():
            if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
                bare += walk(field.annotation, f"{path}{name}.")
            elif not field.description or not (field.json_schema_extra or {}).get("source"):
                bare.append(path + name)
        return bare

    assert walk(Recipe, "") == []


def test_yaml_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(load_recipe("demo").model_dump(mode="json")))
    assert load_recipe(path) == load_recipe("demo")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("voc12/ful", None, "Did you mean 'voc12/full'"),
        ("none.yaml", None, "no recipe file"),
        ("a.yaml", "localization: {margn: 1}", "localization.margn"),
        ("a.yaml", "localization: {margin: -1}", "localization.margin"),
        ("a.yaml", "localization: [", "not a YAML file"),
        ("a.yaml", "#" * 1_000_001, "1,000,001 bytes"),
    ],
    ids=["typo", "missing file", "unknown key", "bad value", "broken yaml", "huge file"],
)  # fmt: skip
def test_clear_errors(tmp_path: Path, name: str, content: str | None, message: str) -> None:
    target = tmp_path / name if name.endswith(".yaml") else name
    if content is not None:
        Path(target).write_text(content)
    with pytest.raises(RecipeError, match=message) as caught:
        load_recipe(target)
    assert caught.value.exit_code == 2


def test_contradictions_are_refused() -> None:
    for changes in ({"resize_range": (3, 2)}, {"background_threshold": 0.5}, {"warm_up_epochs": 50}):
        with pytest.raises(ValueError, match=next(iter(changes))):
            replace(Recipe(), localization=changes)


def test_segmenter_may_start_from_the_weights_of_the_localizer() -> None:
    recipe = replace(load_recipe("folder/cpu"), localization={"trunk_weights": "mine.safetensors"})
    assert recipe.segmenter_weights == "mine.safetensors"
    assert replace(recipe, segmentation={"trunk_weights": None}).segmenter_weights is None
    with pytest.raises(ValueError, match="trunks differ"):
        replace(recipe, segmentation={"trunk": "resnet18"})
