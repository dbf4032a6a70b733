from __future__ import annotations

from pathlib import Path

import pytest

from ktse.data.voc_splits import TRAINAUG_COUNT, has_trainaug, read_split, trainaug_note
from ktse.errors import DataError
from reference.voc_tree import add_list, add_sbd_lists, make_sbd, make_voc

ID_FORM = ["2007_000032", "2008_000002"]
PATH_FORM = [f"/JPEGImages/{id_}.jpg /SegmentationClassAug/{id_}.png" for id_ in ID_FORM]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_voc(tmp_path)


@pytest.mark.parametrize("name", ["trainaug", "train_aug"])
@pytest.mark.parametrize("lines", [ID_FORM, PATH_FORM, ["", *ID_FORM, "  "]], ids=["ids", "paths", "blank lines"])
def test_a_shipped_list_comes_first(root: Path, tmp_path: Path, name: str, lines: list[str]) -> None:
    sbd = make_sbd(tmp_path)
    add_list(root, name, lines)
    assert read_split(root, "trainaug", sbd) == ID_FORM
    assert has_trainaug(root)


def test_a_list_may_begin_with_a_mark_of_its_encoding(root: Path) -> None:
    (root / "ImageSets" / "Segmentation" / "train.txt").write_bytes(b"\xef\xbb\xbf2007_000032\r\n2007_000039\r\n")
    assert read_split(root, "train", None) == ["2007_000032", "2007_000039"]


def test_trainaug_is_train_and_sbd_less_val(root: Path, tmp_path: Path) -> None:
    sbd = make_sbd(tmp_path)
    add_sbd_lists(sbd, train=["2011_000001", "2007_000032"], val=["2007_000033", "2008_000002"])
    assert read_split(root, "trainaug", sbd) == ["2007_000032", "2007_000039", "2008_000002", "2011_000001"]


def test_images_of_val_are_refused(root: Path) -> None:
    add_list(root, "trainaug", ["2007_000032", "2007_000033"])
    with pytest.raises(DataError, match=r"has 1 images of val \('2007_000033'"):
        read_split(root, "trainaug", None)
    (root / "ImageSets" / "Segmentation" / "val.txt").unlink()
    assert len(read_split(root, "trainaug", None)) == 2


@pytest.mark.parametrize("missing", ["VOC's train", "VOC's val", "SBD's train", "SBD's val"])
def test_no_list_is_left_out_in_silence(root: Path, tmp_path: Path, missing: str) -> None:
    sbd = make_sbd(tmp_path)
    name = f"{missing.split()[1]}.txt"
    (sbd / name if "SBD" in missing else root / "ImageSets" / "Segmentation" / name).unlink()
    with pytest.raises(DataError, match=rf"the list '.*{name}' cannot be read: No such file"):
        read_split(root, "trainaug", sbd)


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ("trainaug", r"trainaug\.txt' is missing, and there is no SBD .* data\.sbd .* data\.train_split=train"),
        ("vall", "no split 'vall'. Did you mean 'val'"),
        ("train_avg", "Did you mean 'trainaug'"),
    ],
)
def test_missing_lists(root: Path, split: str, message: str) -> None:
    assert not has_trainaug(root)
    with pytest.raises(DataError, match=message):
        read_split(root, split, None)


def test_folder_that_is_no_voc(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there are no lists in .* Give the folder VOCdevkit/VOC2012"):
        read_split(tmp_path, "train", None)


@pytest.mark.parametrize("line", ["..", "a\x00b", "..\\..\\secret.jpg", "con"], ids=["up", "nul", "Windows", "device"])
def test_lines_that_name_no_image(root: Path, line: str) -> None:
    add_list(root, "odd", ["2007_000032", line])
    with pytest.raises(DataError, match=r"odd\.txt' has .* names no image"):
        read_split(root, "odd", None)


def test_the_known_list_is_known(shared_data: Path) -> None:
    ids = {
        name: (shared_data / "voc_label_maps" / f"{name}_full_ids.txt").read_text().split()
        for name in ("train", "trainaug", "val")
    }
    assert len(ids["trainaug"]) == TRAINAUG_COUNT
    assert trainaug_note(reversed(ids["trainaug"])) == ""
    assert "10581 images" in trainaug_note(ids["trainaug"][1:])
    assert "not the same ones" in trainaug_note([*ids["trainaug"][1:], ids["val"][0]])


def test_the_known_list_is_what_the_rule_makes(tmp_path: Path, shared_data: Path) -> None:
    real = shared_data / "voc_label_maps"
    known, train, val = ((real / f"{name}_full_ids.txt").read_text().split() for name in ("trainaug", "train", "val"))
    root, sbd = tmp_path / "VOC2012", tmp_path / "sbd"
    add_list(root, "train", train)
    add_list(root, "val", val)
    add_sbd_lists(sbd, train=[*known[2000:], *val[:700]], val=[*known[100:2000], *val[700:]])
    made = read_split(root, "trainaug", sbd)
    assert made == known
    assert trainaug_note(made) == ""
