"""Overrides of recipe settings: what is taken, and what a person who mistypes is told."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ktse.config import Recipe
from ktse.errors import RecipeError
from ktse.overrides import apply_overrides, changed_recipe, setting_names


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("localization.margin=0.1", 0.1, id="number"),
        pytest.param("localization.margin=1e-3", 0.001, id="number that YAML 1.1 takes for a text"),
        pytest.param("localization.epochs=12", 12, id="integer"),
        pytest.param("localization.mirror=false", False, id="truth value"),
        pytest.param("localization.scales=[0.5, 1]", (0.5, 1.0), id="list"),
        pytest.param("refinement.steps=irn", ("irn",), id="lone word for a list"),
        pytest.param("localization.scales=0.5", (0.5,), id="lone number for a list"),
        pytest.param("localization.trunk_weights=null", None, id="none"),
        pytest.param("localization.trunk=resnet50", "resnet50", id="text"),
        pytest.param("name=2024", "2024", id="text made of digits"),
        pytest.param("localization.trunk_weights=a=b.pth", "a=b.pth", id="value with an equals sign"),
        pytest.param("localization.weights.inter_class=0", 0.0, id="nested section"),
        pytest.param(" data.kind = folder", "folder", id="spaces"),
    ],
)
def test_value_is_set_and_nothing_else_changes(text: str, expected: object) -> None:
    changed = apply_overrides(Recipe(), [text])
    *sections, key = text.partition("=")[0].strip().split(".")
    before, after = Recipe().model_dump(), changed.model_dump()
    inner_before, inner_after = before, after
    for section in sections:
        inner_before, inner_after = inner_before[section], inner_after[section]
    assert inner_after.pop(key) == expected
    inner_before.pop(key)
    assert before == after


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param(
            "localization.margn=1", ["no setting 'localization.margn'", "'localization.margin'?"], id="typo in key"
        ),
        pytest.param("localisation.margin=1", ["'localization.margin'"], id="typo in section"),
        pytest.param("margin=1", ["'localization.margin'"], id="section left out"),
        pytest.param("epochs=1", ["'localization.epochs'", "'segmentation.epochs'"], id="section left out of two"),
        pytest.param("zzz=1", ["no setting 'zzz'", "ktse recipes"], id="nothing near"),
        pytest.param("localization.margin.x=1", ["no setting 'localization.margin.x'"], id="key below a setting"),
        pytest.param("localization=1", ["is a section", "localization.trunk"], id="section in place of a setting"),
        pytest.param("localization.margin", ["section.key=value"], id="no equals sign"),
        pytest.param("localization.margin=-1", ["margin is -1", "greater than or equal to 0", "forgive"], id="range"),
        pytest.param("localization.margin=wide", ["is 'wide'", "should be a number."], id="kind"),
        pytest.param("localization.margin=", ["is None", "should be a number."], id="no value"),
        pytest.param("localization.scales=0.5,1", ["should be a list: [0.5,1]"], id="list without brackets"),
        pytest.param("localization.epochs=three", ["is 'three'", "should be a whole number."], id="word for a number"),
        pytest.param("localization.epochs=1.5", ["is 1.5", "should be a whole number."], id="part of an epoch"),
        pytest.param("localization.mirror=maybe", ["is 'maybe'", "should be true or false."], id="no truth value"),
        pytest.param("data.sbd=1", ["is 1", "should be a text."], id="number for a text"),
        pytest.param("refinement.steps=par,crf", ["should be a list: [par,crf]"], id="words without brackets"),
        pytest.param("refinement.steps=irm", ["steps[0] is 'irm'", "'par', 'crf' or 'irn'"], id="lone value misspelt"),
        pytest.param(
            "localization.resize_range=8", ["resize_range is 8", "should be a list"], id="lone value for a pair"
        ),
        pytest.param("localization.scales={a: 1}", ["should be a list such as [1, 2]"], id="mapping for a list"),
        pytest.param("localization.scales=[1, x]", ["localization.scales[1] is 'x'"], id="one entry of a list"),
        pytest.param("localization.sweep=[", ["is no YAML value"], id="broken YAML"),
        pytest.param("data.kind=voc", ["'shapes', 'folder', 'voc12' or 'coco14'"], id="unknown choice"),
        pytest.param("localization.epochs=3", ["warm_up_epochs 10 is more than epochs 3"], id="contradiction"),
    ],
)
def test_wrong_override_says_what_came_and_what_was_expected(text: str, words: list[str]) -> None:
    with pytest.raises(RecipeError) as caught:
        apply_overrides(Recipe(), [text])
    for word in words:
        assert word in str(caught.value)


def test_overrides_are_judged_together_and_the_last_counts() -> None:
    together = ["localization.warm_up_epochs=50", "localization.epochs=60", "localization.epochs=70"]
    localization = apply_overrides(Recipe(), together).localization
    assert (localization.warm_up_epochs, localization.epochs) == (50, 70)


def test_unknown_key_of_a_mapping_is_named_with_its_section() -> None:
    with pytest.raises(RecipeError, match=r"no setting 'runtime\.worker'\. Did you mean 'runtime\.workers'"):
        changed_recipe(Recipe(), {"runtime": {"worker": 1}})


def test_long_values_are_shortened_in_errors() -> None:
    with pytest.raises(RecipeError) as caught:
        apply_overrides(Recipe(), ["localization.margin=" + "x" * 5000])
    assert len(str(caught.value)) < 300


def test_every_setting_can_be_set_to_its_own_default() -> None:
    import yaml

    def value_of(name: str) -> object:
        value: object = Recipe()
        for part in name.split("."):
            value = getattr(value, part)
        return list(value) if isinstance(value, tuple) else value

    texts = []
    for name in setting_names():
        value = value_of(name)
        written = (
            value if isinstance(value, str) else yaml.safe_dump(value, default_flow_style=True).removesuffix("...\n")
        )
        texts.append(f"{name}={written}")
    assert len(texts) > 90
    assert apply_overrides(Recipe(), texts) == Recipe()


@settings(max_examples=40)
@given(st.text(max_size=40))
def test_any_text_is_a_setting_or_a_recipe_error(text: str) -> None:
    try:
        apply_overrides(Recipe(), [text])
    except RecipeError as error:
        assert str(error)
