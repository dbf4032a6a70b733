"""The settings of a recipe as rows of a table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ktse.config import Recipe, Section


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One setting.

    Attributes:
        name: `section.key`, as the command line takes it.
        value: Its value, with unit.
        is_changed: Whether it differs from the default.
        meaning: What it is.
        source: Where the default comes from.
    """

    name: str
    value: str
    is_changed: bool
    meaning: str
    source: str


def setting_rows(recipe: Recipe) -> dict[str, list[SettingRow]]:
    """Return all settings of a recipe by section.

    Example:
        >>> from ktse.config import replace
        >>> rows = setting_rows(replace(Recipe(), localization={"margin": 0.1}))["localization"]
        >>> [(row.name, row.value) for row in rows if row.is_changed]
        [('localization.margin', '0.1')]
    """
    return {
        name: list(_rows(getattr(recipe, name), field.default, name))
        for name, field in type(recipe).model_fields.items()
        if isinstance(getattr(recipe, name), Section)
    }


def _rows(section: Section, default: Any, prefix: str) -> Iterator[SettingRow]:
    for name, field in type(section).model_fields.items():
        value, usual, path = getattr(section, name), getattr(default, name), f"{prefix}.{name}"
        if isinstance(value, Section):
            yield from _rows(value, usual, path)
            continue
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        text = f"{_text(value)} {extra.get('unit', '')}".strip()
        yield SettingRow(path, text, value != usual, field.description or "", str(extra.get("source", "")))


def _text(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(_text(entry) for entry in value) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
