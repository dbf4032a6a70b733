from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ktse.config.plain_yaml import MAX_DEPTH, read_yaml

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@settings(max_examples=60, deadline=None)
@given(value=PLAIN)
def test_plain_values_are_read_as_by_the_safe_loader(value: Any) -> None:
    text = yaml.safe_dump(value)
    assert read_yaml(text) == yaml.safe_load(text) == value


LINES = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
LINES += [
    f"{name}: &{name} [{', '.join([f'*{last}'] * 10)}]" for last, name in zip("abcdefgh", "bcdefghi", strict=True)
]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("\n".join(LINES), r"line 2: \*a refers to a value written elsewhere: write it out"),
        ("&a [*a]", r"\*a refers to"),
        ("{a: &a {b: 1}, c: {<<: *a}}", r"\*a refers to"),
        ("[" * 5000 + "]" * 5000, f"more than {MAX_DEPTH} levels deep"),
        ("{a: " * 5000, f"more than {MAX_DEPTH} levels deep"),
        ("- " * 5000, f"more than {MAX_DEPTH} levels deep"),
        ("1" * 5000, "a value that is no text has 5,000 characters"),
        ("1" + ":1" * 5000, "a value that is no text has 10,001 characters"),
        ("2001-99-99", "a value cannot be read: month must be"),
        ("!!bool maybe", "a value cannot be read"),
        ("!!timestamp soon", "a value cannot be read"),
        ("!!python/object/apply:os.getcwd []", "could not determine a constructor"),
        ("[", "expected the node content"),
    ],
    ids=["laughs", "itself", "merged", "lists", "mappings", "items", "digits", "base 60", "date", "bool", "time",
         "program", "broken"],
)  # fmt: skip
def test_what_is_not_plain_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(yaml.YAMLError, match=reason):
        read_yaml(text)


def test_the_deepest_nesting_is_still_read() -> None:
    value: Any = "core"
    for _ in range(MAX_DEPTH - 1):
        value = [value]
    assert read_yaml(yaml.safe_dump(value, default_flow_style=True)) == value
    with pytest.raises(yaml.YAMLError, match="levels deep"):
        read_yaml(yaml.safe_dump([value], default_flow_style=True))


def test_texts_may_be_long() -> None:
    assert read_yaml("summary: " + "x" * 50_000) == {"summary": "x" * 50_000}
