"""`ktse data check` on data sets that are broken on purpose: the fault is named, and nothing is a traceback."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from ktse.cli.main import app

Break = Callable[[Path], object]
SIZE = (12, 10)
ROWS = [f"{index:02}.png,{'cat' if index % 2 else 'dog'}" for index in range(16)]


def pixels(seed: int) -> Image.Image:
    noise = np.random.default_rng(seed).integers(0, 256, (SIZE[1], SIZE[0], 3))
    return Image.fromarray(noise.astype(np.uint8))


def as_bytes(seed: int, kind: str) -> bytes:
    buffer = io.BytesIO()
    pixels(seed).save(buffer, format=kind)
    return buffer.getvalue()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Make a sound folder of 16 images of two classes, with two masks."""
    root = tmp_path / "photos"
    (root / "images").mkdir(parents=True)
    (root / "masks").mkdir()
    (root / "classes.txt").write_text("cat\ndog\n")
    write_tags(root, ROWS)
    for index in range(16):
        pixels(index).save(root / "images" / f"{index:02}.png")
    for index in range(2):
        Image.new("L", SIZE, 1 if index % 2 else 2).save(root / "masks" / f"{index:02}.png")
    return root


def write_tags(root: Path, rows: list[str], header: str = "image,tags") -> None:
    (root / "train.csv").write_text("\n".join([header, *rows]) + "\n")


def replace_row(root: Path, index: int, row: str) -> None:
    write_tags(root, [*ROWS[:index], row, *ROWS[index + 1 :]])


def write_image(root: Path, content: bytes) -> None:
    (root / "images" / "03.png").write_bytes(content)


def save_image(root: Path, image: Image.Image, **how: object) -> None:
    image.save(root / "images" / "03.png", **how)  # type: ignore[arg-type]


def save_mask(root: Path, image: Image.Image) -> None:
    image.save(root / "masks" / "00.png")


def replace_tags(root: Path, name: str, content: str) -> None:
    (root / "train.csv").unlink()
    (root / name).write_text(content)


def into_class_folders(root: Path, *, keep: int = 0) -> None:
    (root / "train.csv").unlink()
    (root / "classes.txt").unlink()
    for path in (root / "masks").iterdir():
        path.unlink()
    (root / "masks").rmdir()
    for index in range(keep, 16):
        folder = root / "images" / ("cat" if index % 2 else "dog")
        folder.mkdir(exist_ok=True)
        (root / "images" / f"{index:02}.png").rename(folder / f"{index:02}.png")


def digits(root: Path, last: str) -> None:
    into_class_folders(root, keep=16)
    for index in range(16):
        name = f"{index:02} [01].png" if index < 15 else f"15{last}.png"
        (root / "images" / f"{index:02}.png").rename(root / "images" / name)


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 8
    return exif


def check(root: Path, *options: str) -> tuple[int, list[dict[str, object]]]:
    result = CliRunner().invoke(app, ["data", "check", str(root), "--json", *options])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output
    return result.exit_code, json.loads(result.stdout)["findings"]


def test_the_sound_folder_is_sound(photos: Path) -> None:
    assert check(photos) == (0, [])


BROKEN: dict[str, tuple[Break, int, str]] = {
    # images
    "unreadable": (lambda root: write_image(root, b"no image"), 2, r"03.png' cannot be read"),
    "empty": (lambda root: write_image(root, b""), 2, r"03.png' is empty"),
    "truncated png": (lambda root: write_image(root, as_bytes(3, "PNG")[:-60]), 2, "03.png' cannot be read"),
    "truncated jpeg": (lambda root: write_image(root, as_bytes(3, "JPEG")[:-60]), 2, "03.png' cannot be read"),
    "float pixels": (lambda root: write_image(root, float_tiff()), 2, "03.png' has float pixels"),
    "too large": (lambda root: write_image(root, huge_png()), 2, "03.png' is too large"),
    "missing": (lambda root: (root / "images" / "03.png").unlink(), 2, "lists 1 image(s) that are not in"),
    "duplicate": (lambda root: save_image(root, pixels(5)), 0, "the same picture more than once"),
    "one colour": (lambda root: save_image(root, Image.new("RGB", SIZE)), 0, "one single colour"),
    "turned": (lambda root: save_image(root, pixels(3), exif=turned()), 0, "turned by EXIF"),
    "cmyk": (lambda root: write_image(root, cmyk()), 0, "images in CMYK"),
    "16 bit": (lambda root: save_image(root, deep()), 0, "16 bits a channel"),
    "alpha": (lambda root: save_image(root, pixels(3).convert("RGBA")), 0, "images with transparency"),
    "grey": (lambda root: save_image(root, pixels(3).convert("L")), 0, "grey images"),
    # tags
    "unknown tag": (lambda root: replace_row(root, 3, "03.png,catt"), 2, "line 5: unknown tag 'catt'"),
    "no tag at all": (lambda root: write_tags(root, [row[:7] for row in ROWS]), 2, "no image has a tag"),
    "some without tag": (lambda root: replace_row(root, 3, "03.png,"), 0, "images without a tag"),
    "tag everywhere": (lambda root: write_tags(root, [f"{row};cat" for row in ROWS]), 0, "in every image or nearly"),
    "unused class": (lambda root: add_class(root), 0, "classes without any image"),
    "no partner": (lambda root: (add_class(root), replace_row(root, 3, "03.png,hen;cat")), 0, "has no partner"),
    "rare class": (lambda root: (add_class(root), write_tags(root, [f"{row};hen" for row in ROWS[:3]] + ROWS[3:])), 0,
                   "fewer than 4 images"),
    "class twice": (lambda root: (root / "classes.txt").write_text("cat\ndog\ncat\n"), 2, "'cat' is listed more than"),
    "background as class": (lambda root: (root / "classes.txt").write_text("background\ncat\ndog\n"), 2,
                            "'background' is listed as a class"),
    "no header": (lambda root: write_tags(root, ROWS[1:], header=ROWS[0]), 2, "expected the header"),
    "not text": (lambda root: (root / "train.csv").write_bytes(b"image,tags\n\xff\xfe.png,cat\n"), 2, "is not UTF-8"),
    "no image named": (lambda root: replace_row(root, 3, ",cat"), 2, "line 5: no image is named"),
    "listed twice": (lambda root: replace_row(root, 3, "./02.png,cat"), 2, "share the id '02'"),
    "escape": (lambda root: replace_row(root, 3, "../../03.png,cat"), 2, "leads out of the data set"),
    "two sources": (lambda root: (root / "train.json").write_text("{}"), 2, "has 'train.csv' and 'train.json'"),
    "no source": (lambda root: (root / "train.csv").unlink(), 2, "nothing says the tags"),
    "other split": (lambda root: (root / "train.csv").rename(root / "trian.csv"), 2, "Did you mean 'trian'"),
    "cut json": (lambda root: replace_tags(root, "train.json", '[{"image": "00.png"'), 2, "is not JSON"),
    "cut line": (lambda root: replace_tags(root, "train.jsonl", '\n{"image": '), 2, "line 2 is not JSON"),
    "coco without category": (lambda root: replace_tags(root, "train.json", coco()), 2, "do not fit together"),
    "xml bomb": (lambda root: replace_tags(root, "train.xml", '<!DOCTYPE a [<!ENTITY b "b">]><annotations/>'), 2,
                 "declares a document type"),
    "image beside class folders": (lambda root: into_class_folders(root, keep=1), 2, "lie beside the folders"),
    "digits missing": (lambda root: digits(root, ""), 2, "'15.png' has no digits"),
    "digits of another number": (lambda root: digits(root, " [011]"), 2, "has 3 digits"),
    # masks
    "mask of another size": (lambda root: save_mask(root, Image.new("L", (10, 12), 2)), 2, "mask is (12, 10)"),
    "mask with unknown label": (lambda root: save_mask(root, Image.new("L", SIZE, 7)), 2, "has labels [7]"),
    "mask of colours": (lambda root: save_mask(root, Image.new("RGB", SIZE)), 2, "holds colours (RGB)"),
    "mask unreadable": (lambda root: (root / "masks" / "00.png").write_bytes(b"x"), 2, "00.png' cannot be read"),
    "mask of an untagged class": (lambda root: save_mask(root, Image.new("L", SIZE, 1)), 0, "00 (cat)"),
    "masks without classes": (lambda root: (root / "classes.txt").unlink(), 2, "masks but no classes.txt"),
    # the whole
    "nothing there": (lambda root: root.rename(root.with_name("elsewhere")), 2, "there is no folder"),
    "no images": (lambda root: empty(root), 2, "there are no images in"),
}  # fmt: skip


@pytest.mark.parametrize(("break_it", "exit_code", "named"), BROKEN.values(), ids=list(BROKEN))
def test_each_fault_is_named(photos: Path, break_it: Break, exit_code: int, named: str) -> None:
    break_it(photos)
    ended_with, findings = check(photos)
    assert ended_with == exit_code
    assert named in json.dumps(findings, ensure_ascii=False)
    assert all(finding["remedy"] for finding in findings)


def test_fewer_images_than_a_batch(photos: Path) -> None:
    write_tags(photos, ROWS[:6])
    exit_code, findings = check(photos, "--recipe", "folder/cpu")
    assert exit_code == 2
    assert "has 6 images, localization.warm_up_batch_size asks for 8 at once" in str(findings[0]["what"])


def float_tiff() -> bytes:
    buffer = io.BytesIO()
    Image.new("F", SIZE, 0.5).save(buffer, format="TIFF")
    return buffer.getvalue()


def huge_png() -> bytes:
    """Change the size in the header of a small PNG, whose checksum then has to be made anew."""
    import struct
    import zlib

    content = as_bytes(3, "PNG")
    header = b"IHDR" + struct.pack(">II", 60000, 60000) + content[24:29]
    return content[:12] + header + struct.pack(">I", zlib.crc32(header)) + content[33:]


def cmyk() -> bytes:
    buffer = io.BytesIO()
    pixels(3).convert("CMYK").save(buffer, format="JPEG")
    return buffer.getvalue()


def deep() -> Image.Image:
    return Image.fromarray(np.random.default_rng(3).integers(0, 65536, (10, 12)).astype(np.uint16))


def coco() -> str:
    annotation = {"image_id": 1, "category_id": 9}
    return json.dumps({"images": [{"id": 1, "file_name": "00.png"}], "categories": [], "annotations": [annotation]})


def add_class(root: Path) -> None:
    (root / "classes.txt").write_text("cat\ndog\nhen\n")


def empty(root: Path) -> None:
    (root / "train.csv").unlink()
    for path in (root / "images").iterdir():
        path.unlink()
