"""`ktse recipes`: the list, or one recipe as a file that can be changed and run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ktse.cli.console import say
from ktse.errors import InputError

if TYPE_CHECKING:
    from ktse.config import Section


def recipes(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Print this recipe; else list all.")] = None,
    sources: Annotated[
        bool, typer.Option("--sources", help="Say what each setting means and where it is from.")
    ] = False,
) -> None:
    """List the recipes, or print one as YAML.

    Example: ktse recipes folder/cpu > mine.yaml, change it, then: ktse run mine.yaml --data PHOTOS --out runs/photos
    """
    if name is None and sources:
        raise InputError(
            "--sources explains the settings of one recipe.", remedy="Name it: ktse recipes NAME --sources."
        )
    if name is None:
        _list()
        return
    from ktse.recipes import load_recipe

    say("\n".join(recipe_lines(load_recipe(name), sources=sources)))


def recipe_lines(section: Section, *, sources: bool, indent: str = "") -> Iterator[str]:
    """Yield a section as lines of YAML; with sources, each setting under a comment with meaning and origin.

    Example:
        >>> from ktse.config import EvaluationSettings
        >>> for line in list(recipe_lines(EvaluationSettings(gallery=6), sources=True))[-3:]:
        ...     print(line)
        # images shown in the report
        # default 24 (ours: a screenful or two)
        gallery: 6
    """
    from ktse.config import Section as AnySection

    for key, field in type(section).model_fields.items():
        value = getattr(section, key)
        if isinstance(value, AnySection):
            yield f"{indent}{key}:"
            yield from recipe_lines(value, sources=sources, indent=indent + "  ")
            continue
        if sources:
            extra: Any = field.json_schema_extra or {}
            unit = f" [{extra['unit']}]" if extra.get("unit") else ""
            yield f"{indent}# {field.description}{unit}"
            yield f"{indent}# default {field.default} ({extra.get('source', '')})"
        yield f"{indent}{key}: {_as_yaml(value)}"


def _as_yaml(value: object) -> str:
    """Write one value on one line."""
    import yaml

    plain = list(value) if isinstance(value, tuple) else value
    written: str = yaml.safe_dump(plain, default_flow_style=True, width=float("inf"), allow_unicode=True)
    return written.removesuffix("...\n").strip()


def _list() -> None:
    """Print a table of all recipes, with the first line of what each says of itself."""
    from rich.table import Table

    from ktse.recipes import all_recipes

    table = Table("recipe", "reproduces", "published mIoU", "what it is", box=None, pad_edge=False)
    for name, recipe in all_recipes().items():
        published = "" if recipe.published_value is None else f"{recipe.published_value:.1f}"
        table.add_row(name, recipe.reproduces or "", published, recipe.summary.partition("\n")[0])
    say(table)
