from __future__ import annotations

import string
from pathlib import PurePosixPath
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ktse.data.image_ids import image_id, path_below, share, spelling_of_files
from ktse.errors import DataError

NAMES = st.text(st.characters(exclude_characters="/\x00", exclude_categories=["Cs"]), min_size=1, max_size=12).filter(
    lambda name: name not in {".", ".."}
)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("0002.jpg", "0002"),
        ("2023/May/street 7.final.png", "2023/May/street 7.final"),
        ("./a//b.jpg", "a/b"),
        ("no-ending", "no-ending"),
        ("100%.jpg", "100%25"),
        ("what?.jpg", "what%3F"),
        ('a:b|c*<d>"e\\f.jpg', "a%3Ab%7Cc%2A%3Cd%3E%22e%5Cf"),
        ("tab\tnewline\n.jpg", "tab%09newline%0A"),
        ("folder./end .jpg", "folder%2E/end%20"),
        ("aux.jpg", "%61ux"),
        ("deep/COM1/Nul.tar.jpg", "deep/%43OM1/%4Eul.tar"),
        ("console/auxiliary.jpg", "console/auxiliary"),
        ("Größe/細胞.jpg", "Größe/細胞"),
        ("undecodable\udcff.jpg", "undecodable%FF"),
    ],
)
def test_ids_by_hand(path: str, expected: str) -> None:
    assert image_id(path) == expected


@settings(max_examples=120, deadline=None)
@given(PATHS)
def test_an_id_can_be_turned_back_into_its_path(path: str) -> None:
    id_ = image_id(path)
    assert unquote(id_) == str(PurePosixPath(path).with_suffix(""))
    assert not set(id_) & set('<>:"\\|?*' + "".join(map(chr, range(32))))
    for part in id_.split("/"):
        assert part
        assert part[-1] not in ". "
        assert part.split(".")[0].upper() not in {"CON", "PRN", "AUX", "NUL", *(f"COM{d}" for d in string.digits)}


@settings(max_examples=80, deadline=None)
@given(PATHS, PATHS)
def test_different_paths_have_different_ids(one: str, other: str) -> None:
    stems = {str(PurePosixPath(path).with_suffix("")) for path in (one, other)}
    assert len({image_id(one), image_id(other)}) == len(stems)


@pytest.mark.parametrize("path", ["../a.jpg", "a/../../b.jpg", "/etc/passwd", "", ".", ".."])
def test_paths_that_lead_out_are_refused(path: str) -> None:
    for function in (image_id, path_below):
        with pytest.raises(DataError, match="leads out of the data set"):
            function(path)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("a", "a", True),
        ("a", "A", True),
        ("Street/7", "street/7", True),
        ("\u00c9t\u00e9", "e\u0301te\u0301", True),
        ("a", "b", False),
        ("a/b", "a b", False),
        ("e", "\u00e9", False),
    ],
    ids=["equal", "case", "case of a folder", "accents", "others", "folder", "accent"],
)
def test_ids_that_are_one_file_to_some_system(one: str, other: str, same: bool) -> None:
    assert (spelling_of_files(one) == spelling_of_files(other)) is same


def test_what_two_images_share_is_said() -> None:
    assert share("a", "a") == "share the id 'a'"
    assert share("a", "A").startswith("have the ids 'a' and 'A'")
