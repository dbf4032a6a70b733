"""`section.key=value` on the command line → a changed recipe."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, get_args, get_origin

from ktse.config import Recipe, Section, replace
from ktse.errors import RecipeError, near_matches

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

_WANTED: Final = {
    **dict.fromkeys(
        ("int_parsing", "int_type", "int_from_float", "int_parsing_size"), "Input should be a whole number"
    ),
    **dict.fromkeys(("float_parsing", "float_type"), "Input should be a number"),
    **dict.fromkeys(("bool_parsing", "bool_type"), "Input should be true or false"),
    "string_type": "Input should be a text",
}
"""What pydantic says about kinds of values, by its name for the complaint, in words for people."""


def apply_overrides(recipe: Recipe, overrides: Sequence[str]) -> Recipe:
    """Return the recipe with some settings changed, validated anew as a whole.

    Args:
        recipe: The recipe to start from.
        overrides: Texts `section.key=value`; the value is read as YAML, of one key the last text counts. Where a
            setting is a list of any length, a lone value is a list of one.

    Raises:
        RecipeError: No such section or key (near ones are named), or a value that the setting refuses.

    Example:
        >>> mine = apply_overrides(Recipe(), ["localization.margin=0.1", "localization.weights.inter_class=0"])
        >>> mine.localization.margin, mine.localization.weights.inter_class
        (0.1, 0.0)
        >>> apply_overrides(Recipe(), ["refinement.steps=par"]).refinement.steps
        ('par',)
        >>> apply_overrides(Recipe(), ["localization.margn=0.1"])
        Traceback (most recent call last):
        ktse.errors.RecipeError: no setting 'localization.margn'. Did you mean 'localization.margin'?
    """
    return changed_recipe(recipe, _nested(overrides))


def check_overrides(overrides: Sequence[str]) -> None:
    """Refuse what no recipe takes: unknown settings and values that a setting refuses by itself.

    For the time before the recipe is known; whether settings contradict each other is seen with it.

    Raises:
        RecipeError: As `apply_overrides`.

    Example:
        >>> check_overrides(["segmentation.tile_overlap=2000"])  # more than the tiles of some recipes
        >>> check_overrides(["segmentation.tile_overlap=wide"])
        Traceback (most recent call last):
        ktse.errors.RecipeError: segmentation.tile_overlap is 'wide', but should be a whole number. It means: strip \
that neighbouring tiles share.
    """
    from pydantic import ValidationError

    try:
        replace(Recipe(), **_nested(overrides))
    except ValidationError as error:
        for complaint in error.errors():
            if complaint["type"] != "value_error":  # of two settings, one of which may be another in the recipe
                raise _explained(complaint) from error


def changed_recipe(recipe: Recipe, changes: Mapping[str, Any]) -> Recipe:
    """Return the recipe with nested changes, as `ktse.config.replace`, with errors made for people.

    Raises:
        RecipeError: An unknown key, or a value that a setting refuses: which, what came, what was expected.

    Example:
        >>> changed_recipe(Recipe(), {"runtime": {"workers": -1}})
        Traceback (most recent call last):
        ktse.errors.RecipeError: runtime.workers is -1, but should be greater than or equal to 0. It means: processes \
that read images, per process that trains.
    """
    from pydantic import ValidationError

    try:
        return replace(recipe, **changes)
    except ValidationError as error:
        raise explained(error) from error


def explained(error: ValidationError) -> RecipeError:
    """Turn the first complaint of pydantic about a recipe into a sentence with a remedy."""
    return _explained(error.errors()[0])


def _explained(complaint: ErrorDetails) -> RecipeError:
    name = _setting_of(complaint)
    if complaint["type"] == "extra_forbidden":
        return _unknown(name)
    wanted = complaint["msg"].removeprefix("Value error, ").replace("a valid tuple", _list_of(complaint["input"]))
    wanted = _WANTED.get(complaint["type"], wanted)
    if not wanted.startswith("Input should"):
        return RecipeError(f"{name}: {wanted}.")
    meaning = _meaning(name)
    return RecipeError(
        f"{name} is {_shortened(complaint['input'])}, but {wanted.removeprefix('Input ')}.",
        remedy=f"It means: {meaning}." if meaning else "",
    )


def setting_names(section: type[Section] = Recipe, prefix: str = "") -> Iterator[str]:
    """Yield the dotted name of every setting of a recipe.

    Example:
        >>> [name for name in setting_names() if name.endswith("foreground")]
        ['localization.weights.foreground', 'localization.weights.joint_foreground']
    """
    for key, field in section.model_fields.items():
        if inner := _section_of(field):
            yield from setting_names(inner, f"{prefix}{key}.")
        else:
            yield prefix + key


def _nested(overrides: Sequence[str]) -> dict[str, Any]:
    """Return section to key to value; of one key the last text counts."""
    changes: dict[str, Any] = {}
    for text in overrides:
        path, value = _parsed(text)
        place = changes
        for part in path[:-1]:
            place = place.setdefault(part, {})
        place[path[-1]] = value
    return changes


def _parsed(text: str) -> tuple[list[str], Any]:
    """Split `section.key=value` and read the value; refuse names that are not a setting."""
    import yaml

    from ktse.config.plain_yaml import read_yaml

    name, equals, written = text.partition("=")
    name = name.strip()
    if not equals:
        raise RecipeError(
            f"'{text}' changes no setting.", remedy="Write section.key=value, e.g. localization.margin=0.1."
        )
    field = _field(name)
    if field is None:
        raise _unknown(name)
    if section := _section_of(field):
        example = next(setting_names(section, f"{name}."))
        raise RecipeError(f"'{name}' is a section, not a setting.", remedy=f"Name one of its settings, e.g. {example}.")
    try:
        value = read_yaml(written)
    except yaml.YAMLError as error:
        raise RecipeError(f"{name}: '{written}' is no YAML value.", remedy="Quote it if it is a text.") from error
    if field.annotation is str:  # a name made of digits is still a name
        value = written
    if _is_lone(value) and _takes_any_number(field):
        value = [value]
    return name.split("."), value


def _is_lone(value: object) -> bool:
    """Return whether a value is one number or word; words parted by commas are a list that lacks its brackets."""
    return isinstance(value, int | float) or (isinstance(value, str) and "," not in value)


def _takes_any_number(field: FieldInfo) -> bool:
    """Return whether a setting is a list of any length, as `tuple[int, ...]`; a pair is not one."""
    return get_origin(field.annotation) is tuple and get_args(field.annotation)[-1] is Ellipsis


def _field(name: str) -> FieldInfo | None:
    """Return the field at a dotted name, or None."""
    section: type[Section] | None = Recipe
    field = None
    for part in name.split("."):
        field = section.model_fields.get(part) if section else None
        section = _section_of(field)
    return field


def _section_of(field: FieldInfo | None) -> type[Section] | None:
    """Return the class of a field that is a section of its own, or None."""
    kind = field.annotation if field else None
    return kind if isinstance(kind, type) and issubclass(kind, Section) else None


def _unknown(name: str) -> RecipeError:
    """Say which settings are near to an unknown one: alike in its section, or of the same key in another."""
    known = list(setting_names())
    section, _, key = name.rpartition(".")
    siblings = [other for other in known if other.rpartition(".")[0] == section]
    namesakes = [other for other in known if other.rpartition(".")[2] == key]
    near = difflib.get_close_matches(name, siblings, n=1, cutoff=0.8) or namesakes
    near = near or difflib.get_close_matches(name, known, n=2, cutoff=0.8)
    remedy = near_matches(name, near) if near else "`ktse recipes NAME` lists every setting."
    return RecipeError(f"no setting '{name}'.", remedy=remedy)


def _setting_of(complaint: ErrorDetails) -> str:
    """Return the dotted name that a complaint is about; an index into a list stands in brackets."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in complaint["loc"])
    return "".join(parts).lstrip(".") or "recipe"


def _meaning(name: str) -> str:
    """Return the meaning of a setting, empty where it has none."""
    field = _field(name.partition("[")[0])
    return (field.description or "") if field else ""


def _list_of(value: object) -> str:
    """Say how a value is written as a list."""
    return f"a list: [{value}]" if isinstance(value, str | int | float) else "a list such as [1, 2]"


def _shortened(value: object, length: int = 80) -> str:
    """Return a value as it is shown in an error."""
    shown = repr(value)
    return shown if len(shown) <= length else shown[: length - 1] + "…"
