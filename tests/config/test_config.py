"""The recipe: every setting explains itself, nothing can be changed by accident, contradictions are refused."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from ktse.config import (
    CoTrainingSettings,
    DataSettings,
    LocalizationSettings,
    LossWeights,
    Recipe,
    RefinementSettings,
    Section,
    SegmentationSettings,
    replace,
)


def fields_of(section: type[Section], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    for name, field in section.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from fields_of(field.annotation, f"{prefix}{name}.")
        else:
            yield prefix + name, field


@pytest.mark.parametrize(
    ("name", "field"), list(fields_of(Recipe)), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_setting_has_a_meaning_and_a_source(name: str, field: FieldInfo) -> None:
    assert field.description
    assert not field.description.endswith(".")
    assert isinstance(field.json_schema_extra, dict)
    assert str(field.json_schema_extra["source"]).startswith(("paper", "published code, not in the paper", "ours"))


def test_defaults_are_those_of_the_paper() -> None:
    settings = Recipe().localization
    assert (settings.foreground_threshold, settings.background_threshold, settings.object_threshold) == (0.3, 0.15, 0.2)
    assert (settings.erase_threshold, settings.weights.foreground, settings.weights.inter_class) == (0.6, 0.0125, 0.005)


def test_recipes_cannot_be_changed_in_place() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Recipe().localization.margin = 0.1  # type: ignore[misc]


def test_replace_changes_only_what_is_named() -> None:
    recipe = replace(Recipe(), localization={"weights": {"inter_class": 0.0}}, name="mine")
    expected = Recipe().model_dump()
    expected["name"] = "mine"
    expected["localization"]["weights"]["inter_class"] = 0.0
    assert recipe.model_dump() == expected


def test_replace_takes_whole_sections() -> None:
    assert replace(Recipe(), data=DataSettings(kind="folder")).data == DataSettings(kind="folder")


def test_recipe_survives_json() -> None:
    recipe = replace(Recipe(), localization={"scales": (0.5, 1.0), "trunk_weights": None})
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param({"resize_range": (512, 256)}, "resize_range", id="empty range"),
        pytest.param({"foreground_threshold": 0.1}, "pixels would be both", id="thresholds crossed"),
        pytest.param({"warm_up_epochs": 41}, "more than epochs", id="warm-up too long"),
        pytest.param({"scales": ()}, "at least 1 item", id="no scale"),
        pytest.param({"margn": 0.1}, "Extra inputs", id="unknown key"),
        pytest.param({"weights": {"background": -1}}, "greater than or equal to 0", id="negative weight"),
        pytest.param({"resize_range": (0, 8)}, "resize_range", id="images of no pixel"),
        pytest.param({"scales": (1.0, 0.0)}, "scales.1\n.* greater than 0", id="scale 0"),
        pytest.param({"par_dilations": (1, -2)}, "par_dilations.1\n.* greater than 0", id="negative distance"),
        pytest.param({"margin": float("nan")}, "finite number", id="not a number"),
        pytest.param({"sweep": (0.1, 0.3, 0.0)}, "sweep .* step at least 0.001", id="sweep that stands still"),
        pytest.param({"sweep": (0.3, 0.1, 0.01)}, "sweep .*first, last, step", id="sweep backwards"),
        pytest.param({"sweep": (0.1, 3.0, 0.01)}, "first two in 0 .. 1", id="sweep beyond 1"),
    ],
)
def test_contradictions_are_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        LocalizationSettings.model_validate(changes)


def test_a_localizer_is_not_trained_without_a_loss() -> None:
    without = {"weights": {"classification": 0}}
    with pytest.raises(ValidationError, match=r"classification is 0, but the 10 epochs of .* have no other loss"):
        replace(Recipe(), localization=without)
    assert replace(Recipe(), localization={**without, "warm_up_epochs": 0}).localization.weights.background == 1
    nothing = dict.fromkeys(LossWeights.model_fields, 0)
    with pytest.raises(ValidationError, match="nothing to learn from"):
        replace(Recipe(), localization={"weights": nothing, "warm_up_epochs": 0})


def test_a_sweep_may_be_a_single_threshold() -> None:
    assert LocalizationSettings(sweep=(0.2, 0.2, 0.01)).sweep == (0.2, 0.2, 0.01)


@pytest.mark.parametrize(
    ("section", "changes", "words"),
    [
        (DataSettings, {"std": (1, 0, 1)}, "std.1\n.* greater than 0"),
        (DataSettings, {"mean": (0, float("inf"), 0)}, "finite number"),
        (RefinementSettings, {"par_dilations": (0,)}, "par_dilations.0\n.* greater than 0"),
        (SegmentationSettings, {"scales": (-1.0,)}, "scales.0\n.* greater than 0"),
        (SegmentationSettings, {"aspp_dilations": (6, 0)}, "aspp_dilations.1\n.* greater than 0"),
        (SegmentationSettings, {"crop_area": (0.8, 0.5)}, "crop_area"),
        (SegmentationSettings, {"crop_area": (-0.5, 0.5)}, "crop_area"),
        (SegmentationSettings, {"crop_area": (0.5, 1.5)}, "crop_area"),
    ],
)
def test_numbers_that_nothing_can_be_done_with_are_refused(
    section: type[Section], changes: dict[str, object], words: str
) -> None:
    with pytest.raises(ValidationError, match=words):
        section.model_validate(changes)


@pytest.mark.parametrize("sides", [(3, 4), (), (-1,)], ids=["even", "none", "negative"])
def test_kernels_without_a_middle_are_refused(sides: tuple[int, ...]) -> None:
    with pytest.raises(ValidationError, match="blur_sizes"):
        CoTrainingSettings(blur_sizes=sides)
