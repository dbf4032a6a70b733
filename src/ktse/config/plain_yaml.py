"""Reading YAML that somebody else may have written: plain values only, in time and memory that grow with the text."""

from __future__ import annotations

from typing import Any, Final

import yaml

MAX_DEPTH: Final = 20
"""Deepest nesting that is read; a recipe has five levels."""

MAX_NUMBER_LENGTH: Final = 100
"""Longest text of a number, a date or anything else that is converted; other texts may have any length."""

_TEXT: Final = "tag:yaml.org,2002:str"


def read_yaml(text: str) -> Any:
    """Read a YAML document of plain values: texts, numbers, lists and mappings.

    Args:
        text: One document.

    Raises:
        yaml.YAMLError: The text is no such document, refers to a value written elsewhere (`&name`, `*name`), or is
            nested deeper than any recipe. The first line of the error says why.

    Example:
        >>> read_yaml("{scales: [0.5, 1.0], mirror: true}")
        {'scales': [0.5, 1.0], 'mirror': True}
    """
    try:
        return _PlainLoader(text).get_single_data()
    except yaml.YAMLError:
        raise
    except Exception as error:  # the constructors raise whatever a value leads them to: `2001-99-99`, `!!bool maybe`
        raise yaml.YAMLError(f"a value cannot be read: {error or type(error).__name__}") from None


class _PlainLoader(yaml.SafeLoader):
    """The safe loader without what lets a short text become a huge value, or reading it take forever."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Refuse aliases, of which ten lines can stand for millions of values, and nesting beyond `MAX_DEPTH`."""
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            raise _refusal(event, f"*{event.anchor} refers to a value written elsewhere: write it out")
        if self._depth == MAX_DEPTH:
            raise _refusal(event, f"values are nested more than {MAX_DEPTH} levels deep")
        self._depth += 1
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def compose_scalar_node(self, anchor: dict[Any, yaml.Node]) -> yaml.ScalarNode:
        """Refuse endless numbers: the time to convert them grows with the square of their length."""
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        node: yaml.ScalarNode = super().compose_scalar_node(anchor)
        if node.tag != _TEXT and len(node.value) > MAX_NUMBER_LENGTH:
            raise _refusal(event, f"a value that is no text has {len(node.value):,} characters")
        return node


def _refusal(event: Any, reason: str) -> yaml.YAMLError:
    return yaml.YAMLError(f"line {event.start_mark.line + 1}: {reason}")
