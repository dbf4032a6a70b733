"""Every setting of a recipe has its row, with meaning and source."""

from ktse.config import Recipe, Section, replace
from ktse.report.settings import setting_rows


def leaves(section):
    """Count the settings of a section that are no sections."""
    values = [getattr(section, name) for name in type(section).model_fields]
    return sum(leaves(value) if isinstance(value, Section) else 1 for value in values)


def test_every_setting_has_a_row():
    rows = setting_rows(Recipe())
    assert {section: len(of) for section, of in rows.items()} == {
        section: leaves(getattr(Recipe(), section)) for section in rows
    }
    assert set(rows) == {"data", "localization", "refinement", "segmentation", "evaluation", "runtime"}
    assert all(row.meaning and row.source for of in rows.values() for row in of)
    assert not any(row.is_changed for of in rows.values() for row in of)


def test_changed_settings_also_in_nested_sections():
    recipe = replace(Recipe(), localization={"weights": {"inter_class": 0.5}, "mirror": False, "gradient_clip": 5.0})
    changed = {row.name: row.value for row in setting_rows(recipe)["localization"] if row.is_changed}
    assert changed == {
        "localization.weights.inter_class": "0.5",
        "localization.mirror": "no",
        "localization.gradient_clip": "5",
    }


def test_values_are_written_for_people():
    rows = {row.name: row.value for of in setting_rows(Recipe()).values() for row in of}
    assert rows["localization.crop_size"] == "320 px"
    assert rows["localization.resize_range"] == "256, 512 px"
    assert rows["localization.gradient_clip"] == "none"
    assert rows["localization.mirror"] == "yes"
    assert rows["refinement.steps"] == "irn"
