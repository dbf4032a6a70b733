from __future__ import annotations

from pathlib import Path

import pytest

from ktse.errors import WeightsError
from ktse.nets.known_weights import KNOWN_WEIGHTS, find_weights, known_weights, weights_folder

IMAGENET = "ilsvrc-cls_rna-a1_cls1000_ep-0001.params"


def test_every_entry_says_where_it_comes_from() -> None:
    assert len({entry.name for entry in KNOWN_WEIGHTS}) == len(KNOWN_WEIGHTS) > 0
    for entry in KNOWN_WEIGHTS:
        assert entry.source.startswith("https://")
        assert Path(entry.file_name).name == entry.file_name
        assert entry.licence
        assert entry.purpose
        assert known_weights(entry.name) is entry


def test_an_unknown_name_is_answered_with_near_ones() -> None:
    with pytest.raises(WeightsError, match=r"known as 'ktse.mask'\. Did you mean 'ktse.masks'"):
        known_weights("ktse.mask")


def test_folder_is_set_by_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KTSE_WEIGHTS", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert weights_folder() == tmp_path / ".cache" / "ktse" / "weights"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert weights_folder() == tmp_path / "cache" / "ktse" / "weights"
    monkeypatch.setenv("KTSE_WEIGHTS", str(tmp_path / "mine"))
    assert weights_folder() == tmp_path / "mine"


def test_name_finds_the_file_under_its_published_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KTSE_WEIGHTS", str(tmp_path))
    (tmp_path / IMAGENET).touch()
    assert find_weights("resnet38d.imagenet") == tmp_path / IMAGENET


def test_absent_known_weights_say_where_to_get_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KTSE_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsError) as caught:
        find_weights("resnet38d.imagenet")
    for part in (
        str(tmp_path / IMAGENET),
        "https://github.com/itijyou/ademxapp",
        "Apache-2.0",
        "ktse weights pull",
        "give its path",
    ):
        assert part in str(caught.value)


def test_path_is_taken_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    path.touch()
    assert find_weights(path) == find_weights(str(path)) == path


@pytest.mark.parametrize("name", ["resnet38d.imagnet", "nothing.pth"], ids=["typo", "no file"])
def test_no_such_file(name: str) -> None:
    with pytest.raises(WeightsError, match=r"(Did you mean|Known are).*resnet38d\.imagenet"):
        find_weights(name)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"is a folder, and weights are a file\. Give the file"):
        find_weights(tmp_path)
