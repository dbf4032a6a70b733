"""Recipes by name; one for each row of the paper's tables, for people's own images, and for the demo."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from ktse.config import Recipe
from ktse.errors import RecipeError, near_matches

MAX_RECIPE_BYTES = 100_000
"""Largest recipe file that is read; one with every setting and its source has a quarter of that."""

_MOST_SHOWN = 80
"""Characters of a foreign file that an error repeats."""


@cache
def all_recipes() -> dict[str, Recipe]:
    """Return every recipe under its name."""
    from ktse.recipes import coco14, demo, folder, voc12

    listed = [*demo.recipes(), *folder.recipes(), *voc12.recipes(), *coco14.recipes()]
    return {recipe.name: recipe for recipe in listed}


def load_recipe(name: str | Path) -> Recipe:
    """Return a recipe by name, or from a YAML file.

    Args:
        name: A name that `ktse recipes` lists, or the path of a .yaml file.

    Raises:
        RecipeError: No such recipe (near names are listed), or a file with unknown or invalid settings.

    Example:
        >>> load_recipe("voc12/published").localization.pseudo_label_normalization
        'signed_max'
    """
    known = all_recipes()
    if str(name) in known:
        return known[str(name)]
    path = Path(name)
    if path.suffix in {".yaml", ".yml"}:
        return _read(path)
    raise RecipeError(f"no recipe '{name}'.", remedy=near_matches(str(name), known))


def _read(path: Path) -> Recipe:
    """Read a recipe file; what it does not name has the default's value."""
    import yaml
    from pydantic import ValidationError

    from ktse.config.plain_yaml import read_yaml

    if not path.is_file():
        raise RecipeError(
            f"no recipe file at '{path}'.", remedy="`ktse recipes` lists the recipes that come with ktse."
        )
    if path.stat().st_size > MAX_RECIPE_BYTES:
        raise RecipeError(f"'{path}' has {path.stat().st_size:,} bytes, which no recipe has.")
    try:
        return Recipe.model_validate(read_yaml(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])[:_MOST_SHOWN] or "the file"
        got = str(first.get("input"))[:_MOST_SHOWN]
        raise RecipeError(f"'{path}': {where}: {first['msg']} (got {got}).") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0][: 2 * _MOST_SHOWN]
        raise RecipeError(f"'{path}' is not a YAML file of plain values ({reason}).") from error


def __getattr__(name: str) -> object:
    """Build the table of recipes when it is first asked for."""
    if name == "RECIPES":
        return all_recipes()
    raise AttributeError(name)
