"""One setting: a default that carries its meaning, its unit and its source."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

PAPER = "paper"
CODE = "published code, not in the paper"
OURS = "ours"


class Section(BaseModel):
    """A frozen group of settings; an unknown key is an error, and so is a number that is not finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)


def setting(default: Any, meaning: str, source: str, *, unit: str = "", **limits: Any) -> Any:
    """Declare a setting.

    Args:
        default: The value of the default recipe.
        meaning: What the setting is, and what turning it does.
        source: Where the default comes from: a place in the paper, the published code, or `ours: reason`.
        unit: Unit of the value, empty for pure numbers.
        limits: Bounds as pydantic takes them (`ge`, `gt`, `le`, `lt`, `min_length`).
    """
    return Field(default, description=meaning, json_schema_extra={"source": source, "unit": unit}, **limits)
