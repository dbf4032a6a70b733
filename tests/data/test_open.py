from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ktse.config import DataSettings
from ktse.data.coco import COCO14
from ktse.data.folder import Folder
from ktse.data.open import guess_settings, has_split, open_dataset
from ktse.data.shapes import Shapes
from ktse.data.voc import VOC12
from ktse.errors import DataError
from reference.voc_tree import add_image, make_sbd, make_voc


@pytest.fixture
def photos(tmp_path: Path, save_image: Callable[..., Path]) -> Path:
    names = [f"{index:02}.png" for index in range(20)]
    for name in names:
        save_image(tmp_path / "images" / name)
    for split in ("train", "val"):
        rows = "".join(f"{name},cat\n" for name in names)
        (tmp_path / f"{split}.csv").write_text("image,tags\n" + rows)
    return tmp_path


def test_shapes_need_no_path() -> None:
    settings = DataSettings(kind="shapes", train_split="train", shapes_train=7, shapes_val=5, world_seed=3)
    train, val = (open_dataset(settings, None, split) for split in ("train", "val"))
    assert isinstance(train, Shapes)
    assert (len(train), len(val)) == (7, 5)
    other = open_dataset(settings.model_copy(update={"world_seed": 4}), None, "train")
    assert (train.image(0) != other.image(0)).any()


def test_shapes_refuse_a_path_rather_than_pass_over_it(photos: Path) -> None:
    settings = DataSettings(kind="shapes", train_split="train")
    with pytest.raises(DataError, match=r"need no folder, got '.*'.*folder/cpu"):
        open_dataset(settings, photos, "train")


def test_folder_is_read_with_the_limit_of_the_settings(photos: Path) -> None:
    settings = DataSettings(kind="folder", train_split="train", max_pixels=10)
    dataset = open_dataset(settings, photos, "train")
    assert isinstance(dataset, Folder)
    with pytest.raises(DataError, match="at most 10"):
        dataset.image(0)


@pytest.mark.parametrize(("kind", "reader"), [("voc12", VOC12), ("coco14", COCO14)])
def test_each_kind_has_its_reader(tmp_path: Path, kind: str, reader: type) -> None:
    settings = DataSettings.model_validate({"kind": kind})
    with pytest.raises(DataError) as by_settings:
        open_dataset(settings, tmp_path, "train")
    with pytest.raises(DataError) as directly:
        reader(tmp_path, "train")
    assert str(by_settings.value) == str(directly.value)


@pytest.mark.parametrize("kind", ["folder", "voc12", "coco14"])
def test_files_need_a_path(kind: str) -> None:
    with pytest.raises(DataError, match=f"'{kind}' needs a path, got none. Give its folder: --data PATH"):
        open_dataset(DataSettings.model_validate({"kind": kind}), None, "train")


def test_max_images_is_a_fixed_subset_of_the_training_split(photos: Path) -> None:
    settings = DataSettings(kind="folder", train_split="train", max_images=8)
    first, second = (open_dataset(settings, photos, "train") for _ in range(2))
    assert len(first) == 8
    assert first.ids == second.ids == tuple(sorted(first.ids))
    assert first.ids != tuple(f"{index:02}" for index in range(8))
    assert len(open_dataset(settings, photos, "val")) == 20
    more = settings.model_copy(update={"max_images": 12})
    assert set(first.ids) < set(open_dataset(more, photos, "train").ids)
    all_of_them = settings.model_copy(update={"max_images": 100})
    assert len(open_dataset(all_of_them, photos, "train")) == 20


def test_settings_reach_voc(tmp_path: Path) -> None:
    root, sbd = make_voc(tmp_path), make_sbd(tmp_path / "elsewhere")
    changes = {"difficult": {"voc_difficult": False}, "masks": {"voc_tags": "masks"}, "sbd": {"sbd": str(sbd)}}
    add_image(root, "2007_000039", [("cat", False)])
    settings = {name: DataSettings.model_validate({"kind": "voc12", **change}) for name, change in changes.items()}
    counts = {name: open_dataset(chosen, root, "train").tags.sum() for name, chosen in settings.items()}
    assert counts == {"difficult": 2, "masks": 3, "sbd": 3}
    assert open_dataset(settings["masks"], root, "train").tags[1].nonzero()[0].tolist() == [19]
    assert len(open_dataset(settings["sbd"], root, "trainaug")) == 3
    small = DataSettings(kind="voc12", max_pixels=10)
    with pytest.raises(DataError, match="at most 10"):
        open_dataset(small, root, "train").image(0)


def test_settings_reach_coco(tmp_path: Path) -> None:
    one = {"id": 1, "file_name": "1.jpg", "height": 2, "width": 2}
    annotation = {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[0, 0, 2, 0, 2, 2]], "iscrowd": 0}
    content = {
        "images": [one, {**one, "id": 2, "file_name": "2.jpg"}],
        "annotations": [annotation],
        "categories": [{"id": 1, "name": "person"}],
    }
    (tmp_path / "annotations").mkdir()
    for split in ("train2014", "val2014"):
        (tmp_path / split).mkdir()
        (tmp_path / "annotations" / f"instances_{split}.json").write_text(json.dumps(content))
    settings = DataSettings(
        kind="coco14",
        train_split="train2014",
        coco_images_without_objects=False,
        mask_cache=str(tmp_path / "cache"),
    )
    train, val = (open_dataset(settings, tmp_path, split) for split in ("train2014", "val2014"))
    assert (len(train), len(val)) == (1, 2)  # scores stay those of the whole split
    train.mask(0)
    assert len(list((tmp_path / "cache").rglob("1.png"))) == 1


def test_layout_says_the_kind(photos: Path, tmp_path: Path) -> None:
    assert guess_settings(photos).kind == "folder"
    voc, coco = tmp_path / "voc", tmp_path / "coco"
    (voc / "ImageSets" / "Segmentation").mkdir(parents=True)
    assert (guess_settings(voc).kind, guess_settings(voc).train_split) == ("voc12", "train")
    (tmp_path / "sbd" / "cls").mkdir(parents=True)
    assert guess_settings(voc).train_split == "trainaug"
    (tmp_path / "sbd" / "cls").rmdir()
    assert guess_settings(voc).train_split == "train"
    (voc / "ImageSets" / "Segmentation" / "train_aug.txt").touch()
    assert guess_settings(voc).train_split == "trainaug"
    (coco / "annotations").mkdir(parents=True)
    (coco / "annotations" / "instances_train2014.json").touch()
    assert guess_settings(coco).kind == "coco14"


def test_a_folder_may_lack_the_splits_of_the_defaults(photos: Path) -> None:
    settings = DataSettings(kind="folder", train_split="train")
    assert has_split(settings, photos, "val")
    (photos / "val.csv").write_text("no header\n")
    assert has_split(settings, photos, "val")  # opening it says what is wrong
    (photos / "val.csv").unlink()
    assert not has_split(settings, photos, "val")


@pytest.mark.parametrize("key", ["val_split", "score_split"])
def test_a_split_that_is_asked_for_is_not_replaced_by_another(photos: Path, key: str) -> None:
    settings = DataSettings.model_validate({"kind": "folder", "train_split": "train", key: "vall"})
    with pytest.raises(DataError, match=rf"no split 'vall', which data\.{key} names\. Did you mean 'val'\?"):
        has_split(settings, photos, "vall")
    (photos / "val.csv").unlink()
    with pytest.raises(DataError, match=r"no split 'val', which data\.score_split names\. Known are: 'train'"):
        has_split(settings.model_copy(update={"score_split": "val"}), photos, "val")


def test_large_images_are_reduced_in_every_split(photos: Path, save_image: Callable[..., Path]) -> None:
    settings = DataSettings(kind="folder", train_split="train", longest_side=32, max_images=3)
    Image.fromarray(np.zeros((48, 64, 3), np.uint8)).save(photos / "images" / "00.png")
    train, val = (open_dataset(settings, photos, split) for split in ("train", "val"))
    assert (len(train), len(val)) == (3, 20)
    assert val.image(0).shape == (24, 32, 3)
    assert val.image(1).shape == open_dataset(DataSettings(kind="folder"), photos, "val").image(1).shape
    assert open_dataset(settings, photos, "train", full_size=True).ids == train.ids
    assert open_dataset(settings, photos, "val", full_size=True).image(0).shape == (48, 64, 3)
