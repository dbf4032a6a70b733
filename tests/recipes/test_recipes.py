from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ktse.config import LossWeights, Recipe, Section, replace
from ktse.errors import RecipeError
from ktse.evaluation.published_tables import TABLES
from ktse.nets.trunk_normalization import other_normalizations
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
        ("all", set(LossWeights.model_fields) - {"erased_classification"}),
    ],
    ids=list(ROWS),
)  # fmt: skip
def test_rows_of_table_6(row: str, on: set[str]) -> None:
    assert {name for name, weight in weights_with(ROWS[row]).items() if weight > 0} == on


@pytest.mark.parametrize(
    ("row", "on", "of"),
    [
        ("base", set(), "cam"),
        ("rigid-classification", {"erased_classification"}, "cam"),
        ("soft-gpp-feature", {"global_alignment"}, "gated"),
        ("ga", {"global_alignment"}, "cam"),
        ("ga-la", {"global_alignment", "local_alignment"}, "cam"),
    ],
)
def test_rows_of_table_7(row: str, on: set[str], of: str) -> None:
    settings = load_recipe(f"voc12/table7/{row}").localization
    weights = settings.weights.model_dump()
    assert {name for name, weight in weights.items() if weight > 0} == {"classification", *on}
    assert all(weights[name] == 1 for name in on)
    assert settings.global_alignment_of == of


def test_every_row_of_the_paper_has_a_recipe() -> None:
    """Each number of the paper's own method, but for VOC test, which has no public masks."""
    published = {(table.name[-1], row.values[column]) for table in TABLES for row in table.rows if row.ours
                 for column, heading in enumerate(table.columns) if heading.split != "test"}  # fmt: skip
    published |= {(table.name[-1], row.values[0]) for table in TABLES if table.name in ("table6", "table7")
                  for row in table.rows}  # fmt: skip
    rows = {(name.partition("/table")[2][0], recipe.published_value) for name, recipe in RECIPES.items()
            if "/table" in name}  # fmt: skip
    assert rows == published


@pytest.mark.parametrize("name", RECIPES)
def test_images_are_normalized_as_every_trunk_was_trained(name: str) -> None:
    recipe = load_recipe(name)
    assert other_normalizations(recipe.pretrained_trunks, mean=recipe.data.mean, std=recipe.data.std) == []


def test_segmenters_on_resnet_start_from_the_published_weights() -> None:
    """torchvision's second set (REFERENCE 6.1), which is not what timm takes for the bare name."""
    rows = [recipe for name, recipe in RECIPES.items() if name.startswith(("voc12/", "coco14/"))]
    assert {(recipe.segmentation.trunk, recipe.segmentation.trunk_weights) for recipe in rows} == {
        ("resnet101.tv2_in1k", "timm"),
        ("vgg16", "timm"),
    }


def test_settings_of_vgg_and_coco() -> None:
    for name in ("voc12/table2", "coco14/table4"):
        assert load_recipe(name).segmentation.trunk == "vgg16"
    coco = load_recipe("coco14/table5")
    assert (coco.refinement.irn.foreground_threshold, coco.refinement.irn.background_threshold) == (0.35, 0.10)
    assert (coco.segmentation.epochs, coco.data.val_split) == (40, "val2014")
    assert "settings of the localizer are ours" in coco.summary
    assert load_recipe("voc12/table1/irn").localization.view_merge == "sum_then_relu"
    assert load_recipe("voc12/table1/seed").localization.view_merge == "relu_then_sum"


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
    for recipe in RECIPES.values():
        path.write_text(yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False))
        assert load_recipe(path) == recipe


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("voc12/ful", None, "Did you mean 'voc12/full'"),
        ("none.yaml", None, "no recipe file"),
        ("a.yaml", "localization: {margn: 1}", "localization.margn"),
        ("a.yaml", "localization: {margin: -1}", "localization.margin"),
        ("a.yaml", "localization: [", "not a YAML file"),
        ("a.yaml", "#" * 100_001, "100,001 bytes"),
        ("a.yaml", "name: [&a [1], *a]", r"a\.yaml' is not a YAML file .*\*a refers to a value written elsewhere"),
        ("a.yaml", "name: " + "[" * 5000, r"a\.yaml' is not a YAML file .*nested more than 20 levels"),
        ("a.yaml", "name: 2001-99-99", r"a\.yaml' is not a YAML file .*month must be in 1\.\.12"),
    ],
    ids=["typo", "missing file", "unknown key", "bad value", "broken yaml", "huge file", "alias", "nested", "no date"],
)  # fmt: skip
def test_clear_errors(tmp_path: Path, name: str, content: str | None, message: str) -> None:
    target = tmp_path / name if name.endswith(".yaml") else name
    if content is not None:
        Path(target).write_text(content)
    with pytest.raises(RecipeError, match=message) as caught:
        load_recipe(target)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    "content",
    ["x" * 50_000 + "y: 1", "name: [" + "x, " * 10_000 + "]", "name: !<" + "x" * 50_000 + "> a"],
    ids=["key", "value", "tag"],
)
def test_errors_repeat_only_the_beginning_of_a_foreign_file(tmp_path: Path, content: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(content)
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    assert len(str(caught.value)) < len(str(path)) + 300


def test_contradictions_are_refused() -> None:
    for changes in ({"resize_range": (3, 2)}, {"background_threshold": 0.5}, {"warm_up_epochs": 50}):
        with pytest.raises(ValueError, match=next(iter(changes))):
            replace(Recipe(), localization=changes)


def test_other_networks_may_start_from_the_weights_of_the_localizer() -> None:
    recipe = replace(load_recipe("folder/cpu"), localization={"trunk_weights": "mine.safetensors"})
    assert recipe.segmenter_weights == recipe.irnet_weights == "mine.safetensors"
    assert replace(recipe, segmentation={"trunk_weights": None}).segmenter_weights is None
    assert replace(recipe, refinement={"irn": {"trunk_weights": "timm"}}).irnet_weights == "timm"
    with pytest.raises(ValueError, match=r"segmentation\.trunk_weights is .* trunks differ"):
        replace(recipe, segmentation={"trunk": "resnet18"})
    with pytest.raises(ValueError, match=r"refinement\.irn\.trunk_weights is .* trunks differ"):
        replace(recipe, refinement={"steps": ["irn"], "irn": {"trunk": "resnet18"}})


def test_weights_of_irn_are_looked_at_only_where_irn_refines() -> None:
    recipe = load_recipe("folder/cpu")
    assert "irn" not in recipe.refinement.steps
    trunk = {"trunk": "resnet18"}
    assert replace(recipe, localization=trunk, segmentation=trunk).localization.trunk == "resnet18"
    with pytest.raises(ValueError, match=r"refinement\.irn\.trunk_weights"):
        replace(recipe, localization=trunk, segmentation=trunk, refinement={"steps": ["par", "irn"]})
