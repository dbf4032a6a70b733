from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ktse.config import DataSettings, Recipe, replace
from ktse.data.check import check
from ktse.data.check_files import check_files
from ktse.data.check_tags import check_batches, check_tags
from ktse.data.image_io import write_label_map
from ktse.errors import DataError
from reference.voc_tree import make_sbd, make_voc


def textured(index: int) -> np.ndarray:
    return np.random.default_rng(index).integers(0, 256, (6, 8, 3)).astype(np.uint8)


def all_textured(count: int) -> dict[int, np.ndarray]:
    return {index: textured(index) for index in range(count)}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Return a sound folder: eight training and two validation images, with masks."""
    (tmp_path / "images").mkdir()
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    rows = [f"{index}.png,{'cat' if index % 2 else 'dog'}\n" for index in range(10)]
    (tmp_path / "train.csv").write_text("image,tags\n" + "".join(rows[:8]))
    (tmp_path / "val.csv").write_text("image,tags\n" + "".join(rows[8:]))
    for index in range(10):
        Image.fromarray(textured(index)).save(tmp_path / "images" / f"{index}.png")
        write_label_map(tmp_path / "masks" / f"{index}.png", np.full((6, 8), 1 if index % 2 else 2))
    return tmp_path


def test_a_sound_folder_has_no_findings(photos: Path) -> None:
    report = check(photos)
    assert report.findings == ()
    assert report.images == {"train": 8, "val": 2}
    assert report.name == str(photos)


def test_micro_batches_that_do_not_divide_a_batch_are_found_in_every_training(array_dataset) -> None:
    parts = {"batch_size": 8, "micro_batches": 4}
    sound = replace(Recipe(), localization=parts, refinement={"irn": parts}, segmentation=parts)
    dataset = array_dataset([[1, 0], [0, 1]] * 8)
    assert check_batches(dataset, sound) == []
    uneven = {"batch_size": 8, "micro_batches": 3}
    odd = replace(sound, localization=uneven, refinement={"irn": uneven}, segmentation=uneven)
    assert ["with 3 micro-batches" in finding.what for finding in check_batches(dataset, odd)] == [True] * 3
    assert "multiple of 16" in check_batches(dataset, replace(sound, segmentation={"micro_batches": 8}))[0].remedy


@pytest.mark.parametrize(
    ("tags", "severity", "what", "where"),
    [
        ([[0, 0]] * 4, "error", "no image has a tag", ("arrays",)),
        ([[1, 0], [1, 0], [0, 1], [0, 1], [0, 0]], "warning", "images without a tag", ("image4",)),
        ([[1, 0], [1, 1], [1, 1]], "warning", "classes in every image or nearly", ("class0",)),
        ([[1, 0], [1, 0], [0, 0]], "warning", "classes without any image", ("class1",)),
        ([[1, 0], [1, 0], [1, 0], [0, 1]] * 3, "warning", "fewer than 4 images", ("class1",)),
        ([[1, 0], [1, 0], [0, 1]], "warning", "a single image, which has no partner", ("class1",)),
    ],
    ids=["no tags", "untagged", "frequent", "absent", "rare", "single"],
)
def test_faults_of_tags(array_dataset, tags: list[list[int]], severity: str, what: str, where: tuple[str, ...]) -> None:
    found = {finding.what: finding for finding in check_tags(array_dataset(tags))}
    finding = next(finding for text, finding in found.items() if what in text)
    assert (finding.severity, finding.where) == (severity, where)


def test_a_class_in_95_of_100_images_is_not_too_frequent(array_dataset) -> None:
    frequent = [[1, index % 2] for index in range(95)] + [[0, 1]] * 5
    assert check_tags(array_dataset(frequent)) == []
    frequent[95] = [1, 1]
    assert [finding.where for finding in check_tags(array_dataset(frequent))] == [("class0",)]


def test_faults_of_files(array_dataset) -> None:
    images = {
        **all_textured(7),
        1: DataError("image 'one' cannot be read.", remedy="Copy it."),
        3: textured(2),
        4: np.zeros((6, 8, 3), dtype=np.uint8),
    }
    masks = {5: np.zeros((8, 6), dtype=int), 6: np.zeros((6, 8), dtype=int)}
    findings = check_files([array_dataset([[1, 0]] * 7, images=images, masks=masks)])
    assert [(finding.severity, finding.what, finding.where) for finding in findings] == [
        ("error", "images that cannot be read", ("image 'one' cannot be read.",)),
        ("error", "masks that cannot be used", ("train: image5: mask is (8, 6), image is (6, 8) (height, width)",)),
        ("warning", "images of one single colour", ("train: image4",)),
        ("warning", "the same picture more than once", ("train: image2 = train: image3",)),
    ]


def test_same_bytes_in_another_shape_are_another_picture(array_dataset) -> None:
    images = {0: textured(0), 1: textured(0).reshape(8, 6, 3)}
    assert check_files([array_dataset([[1, 0]] * 2, images=images)]) == []


def broken(photos: Path, fault: str) -> None:
    match fault:
        case "empty image":
            (photos / "images" / "0.png").write_bytes(b"")
        case "rgb mask":
            Image.new("RGB", (8, 6)).save(photos / "masks" / "0.png")
        case "label of no class":
            write_label_map(photos / "masks" / "0.png", np.full((6, 8), 3))
        case "unknown tag":
            (photos / "val.csv").write_text("image,tags\n9.png,catt\n")
        case "no training table":
            (photos / "train.csv").unlink()
        case "bad header of validation":
            (photos / "val.csv").write_text("9.png,cat\n")


@pytest.mark.parametrize(
    ("fault", "what", "where"),
    [
        ("empty image", "images that cannot be read", "0.png' is empty"),
        ("rgb mask", "masks that cannot be used", "holds colours"),
        ("label of no class", "masks that cannot be used", "labels [3]"),
        ("unknown tag", "unknown tag 'catt'", "split 'val'"),
        ("no training table", "for split 'train'", "split 'train'"),
        ("bad header of validation", "expected the header", "split 'val'"),
    ],
)
def test_faults_of_a_folder_are_findings(photos: Path, fault: str, what: str, where: str) -> None:
    broken(photos, fault)
    (error,) = check(photos).errors
    assert what in error.what
    assert where in error.where[0]
    assert error.remedy
    assert error.remedy not in error.what


def test_classes_of_nearly_one_name_are_warned_of_once(photos: Path) -> None:
    (photos / "classes.txt").unlink()
    for index in range(10):
        (photos / "masks" / f"{index}.png").unlink()
    (photos / "masks").rmdir()
    rows = [f"{index}.png,{('cat', 'Evening dress', 'eveningdress')[index % 3]}\n" for index in range(10)]
    (photos / "train.csv").write_text("image,tags\n" + "".join(rows))
    (photos / "val.csv").unlink()
    alike = [finding for finding in check(photos).findings if "differ in capitals or blanks" in finding.what]
    assert [(finding.severity, finding.where) for finding in alike] == [("warning", ("Evening dress = eveningdress",))]


def test_a_picture_in_two_splits_is_found(photos: Path, save_image: Callable[..., Path]) -> None:
    (photos / "val.csv").write_text("image,tags\n3.png,cat\n")
    assert [finding.where for finding in check(photos).findings] == [("train: 3 = val: 3",)]


def test_tags_of_validation_are_not_learned_from(photos: Path) -> None:
    (photos / "val.csv").write_text("image,tags\n8.png,\n")
    (photos / "masks" / "8.png").unlink()
    assert check(photos).findings == ()
    settings = DataSettings(kind="folder", train_split="val", val_split="train")
    assert [finding.what for finding in check(photos, settings=settings).errors] == ["split 'val': no image has a tag"]


@pytest.mark.parametrize("key", ["val_split", "score_split"])
def test_a_misspelt_split_is_found(photos: Path, key: str) -> None:
    settings = DataSettings.model_validate({"kind": "folder", "train_split": "train", key: "vall"})
    (error,) = check(photos, settings=settings).errors
    assert f"no split 'vall', which data.{key} names" in error.what
    assert error.remedy == "Did you mean 'val'?"


def test_missing_folder_is_one_finding(tmp_path: Path) -> None:
    report = check(tmp_path / "nowhere")
    assert [finding.what for finding in report.findings] == [f"there is no folder '{tmp_path / 'nowhere'}'."]
    assert report.images == {}


def test_errors_come_first_and_json_holds_everything(photos: Path) -> None:
    broken(photos, "empty image")
    (photos / "train.csv").write_text("image,tags\n" + "".join(f"{index}.png,cat\n" for index in range(8)))
    report = check(photos)
    assert [finding.severity for finding in report.findings] == ["error", "warning", "warning", "warning"]
    content = json.loads(json.dumps(report.to_json()))
    assert content["images"] == {"train": 8, "val": 2}
    assert [entry["what"] for entry in content["findings"]] == [finding.what for finding in report.findings]
    assert set(content["findings"][0]) == {"severity", "what", "where", "remedy"}


def test_progress_sees_every_image(array_dataset) -> None:
    seen: list[int] = []

    def track(indices: range) -> list[int]:
        seen.extend(indices)
        return list(indices)

    check(array_dataset([[1, 0], [1, 1], [0, 1]], images=all_textured(3)), track=track)
    assert seen == [0, 1, 2]


@pytest.mark.parametrize("max_images", [None, 1], ids=["whole", "subset"])
def test_voc_says_its_notes_and_how_its_images_are_stored(tmp_path: Path, max_images: int | None) -> None:
    root = make_voc(tmp_path)
    make_sbd(tmp_path)
    for path in (root / "JPEGImages").iterdir():
        Image.new("CMYK", (8, 6)).save(path)
    settings = DataSettings(kind="voc12", max_images=max_images)
    notes = {finding.what: finding.where for finding in check(root, settings=settings).findings}
    assert notes["trainaug has 3 images; the list of the literature has 10582."] == ("split 'trainaug'",)
    assert len(notes["images in CMYK"]) == (max_images or 3) + 1  # and the one of val


def test_coco_says_how_its_images_are_stored(tmp_path: Path) -> None:
    (tmp_path / "annotations").mkdir()
    annotation = {"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "segmentation": [[0, 0, 4, 0, 4, 4]]}
    content = {
        "images": [{"id": 1, "file_name": "one.jpg", "height": 6, "width": 8}],
        "annotations": [annotation],
        "categories": [{"id": 1, "name": "cat"}],
    }
    for split in ("train", "val"):
        (tmp_path / f"{split}2014").mkdir()
        (tmp_path / "annotations" / f"instances_{split}2014.json").write_text(json.dumps(content))
        exif = Image.Exif()
        exif[0x0112] = 3
        Image.fromarray(textured(0)).save(tmp_path / f"{split}2014" / "one.jpg", exif=exif)
    notes = {finding.what: finding.where for finding in check(tmp_path).findings}
    assert notes["images turned by EXIF"] == ("train: one", "val: one")


def test_files_are_looked_at_as_they_are_although_they_are_reduced_for_a_run(photos: Path) -> None:
    large = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    Image.fromarray(large).save(photos / "images" / "5.png")
    write_label_map(photos / "masks" / "5.png", np.full((96, 128), 1))
    report = check(photos, settings=DataSettings(kind="folder", train_split="train", longest_side=32))
    assert [finding.where for finding in report.findings] == [
        ("train: 5: mask is (96, 128), image is (48, 64) (height, width)",)
    ]
