from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from ktse.data.image_traits import TRAITS, image_traits


def save(path: Path, kind: str) -> Path:
    size = (8, 6)
    match kind:
        case "turned":
            exif = Image.Exif()
            exif[0x0112] = 6
            Image.new("RGB", size).save(path.with_suffix(".jpg"), exif=exif)
            return path.with_suffix(".jpg")
        case "cmyk":
            Image.new("CMYK", size).save(path.with_suffix(".jpg"))
            return path.with_suffix(".jpg")
        case "deep colours":
            cv2.imwrite(str(path), np.zeros((6, 8, 3), np.uint16))
        case "deep grey":
            Image.fromarray(np.zeros((6, 8), np.uint16)).save(path)
        case "transparent palette":
            Image.new("P", size).save(path, transparency=0)
        case "pictures":
            frames = [Image.new("RGB", size, colour) for colour in ("red", "blue")]
            frames[0].save(path.with_suffix(".gif"), save_all=True, append_images=frames[1:])
            return path.with_suffix(".gif")
        case _:
            Image.new(kind, size).save(path)
    return path


@pytest.mark.parametrize(
    ("kind", "traits"),
    [
        ("RGB", []),
        ("turned", ["images turned by EXIF"]),
        ("cmyk", ["images in CMYK"]),
        ("deep colours", ["images of 16 bits a channel"]),
        ("deep grey", ["images of 16 bits a channel", "grey images"]),
        ("RGBA", ["images with transparency"]),
        ("transparent palette", ["images with transparency"]),
        ("L", ["grey images"]),
        ("1", ["grey images"]),
        ("P", []),
        ("pictures", ["files of several pictures"]),
    ],
)
def test_traits(tmp_path: Path, kind: str, traits: list[str]) -> None:
    assert image_traits(save(tmp_path / "a.png", kind)) == traits
    assert set(traits) <= set(TRAITS)


def test_files_that_cannot_be_read_have_none(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no image")
    assert image_traits(tmp_path / "a.png") == []
    assert image_traits(tmp_path / "gone.png") == []
