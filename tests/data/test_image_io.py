from __future__ import annotations

import io
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from ktse.data.classes import Classes, voc_palette
from ktse.data.image_io import (
    MAX_PIXELS,
    read_confidence,
    read_image,
    read_label_map,
    read_mask,
    write_confidence,
    write_label_map,
)
from ktse.data.longest_side import reduced_image
from ktse.errors import DataError


def encoded(image: Image.Image, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, **options)
    return buffer.getvalue()


PALETTE_IMAGE = Image.new("P", (3, 2), 1)
PALETTE_IMAGE.putpalette([0, 0, 0, 10, 20, 30])


@pytest.mark.parametrize(
    ("image", "ending", "colour"),
    [
        (Image.new("RGB", (3, 2), (10, 20, 30)), "png", (10, 20, 30)),
        (Image.new("L", (3, 2), 7), "png", (7, 7, 7)),
        (Image.new("1", (3, 2), 1), "png", (255, 255, 255)),
        (PALETTE_IMAGE, "png", (10, 20, 30)),
        (Image.new("RGBA", (3, 2), (10, 20, 30, 255)), "png", (10, 20, 30)),
        (Image.new("RGBA", (3, 2), (10, 20, 30, 0)), "png", (255, 255, 255)),
        (Image.new("LA", (3, 2), (51, 51)), "png", (214, 214, 214)),  # a fifth of 51 on four fifths of white
        (Image.fromarray(np.full((2, 3), 257 * 9, dtype=np.uint16)), "png", (9, 9, 9)),
        (Image.fromarray(np.full((2, 3), 257 * 9, dtype=np.uint16)), "tif", (9, 9, 9)),
        (Image.new("RGB", (3, 2), (10, 20, 30)), "bmp", (10, 20, 30)),
    ],
    ids=["rgb", "grey", "bits", "palette", "opaque", "transparent", "half", "16 bit png", "16 bit tiff", "bmp"],
)
def test_every_kind_of_pixel_becomes_rgb(
    tmp_path: Path, image: Image.Image, ending: str, colour: tuple[int, int, int]
) -> None:
    path = tmp_path / f"image.{ending}"
    image.save(path)
    pixels = read_image(path)
    assert pixels.dtype == np.uint8
    assert pixels.shape == (2, 3, 3)
    assert {tuple(pixel) for pixel in pixels.reshape(-1, 3).tolist()} == {colour}


def test_cmyk_jpeg_becomes_rgb(tmp_path: Path) -> None:
    path = tmp_path / "print.jpg"
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(path, quality=95)  # magenta and yellow ink make red
    assert np.abs(read_image(path).astype(int) - (255, 0, 0)).max() <= 3


@pytest.mark.parametrize(
    ("orientation", "corner"),
    [(1, (0, 0)), (2, (0, -1)), (3, (-1, -1)), (4, (-1, 0)), (5, (0, 0)), (6, (0, -1)), (7, (-1, -1)), (8, (-1, 0))],
)
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int, corner: tuple[int, int]) -> None:
    image = Image.new("RGB", (32, 16))
    image.paste((255, 255, 255), (0, 0, 8, 8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "held.jpg"
    image.save(path, exif=exif, quality=95)
    pixels = read_image(path)
    assert pixels.shape[:2] == ((16, 32) if orientation <= 4 else (32, 16))
    bright = [(row, column) for row in (0, -1) for column in (0, -1) if pixels[row, column, 0] > 128]
    assert bright == [corner]


@pytest.mark.parametrize("size", [(60, 30), (30, 60), (45, 45), (20, 10)], ids=str)
def test_an_image_without_loss_is_reduced_as_from_the_whole(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)).save(path)
    assert np.array_equal(read_image(path, longest_side=32), reduced_image(read_image(path), 32))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(640, 320), (800, 797)], ids=str)  # at an eighth, the second is a square
def test_a_large_jpeg_is_reduced_nearly_as_from_the_whole(
    tmp_path: Path, size: tuple[int, int], orientation: int
) -> None:
    path, exif = tmp_path / "photo.jpg", Image.Exif()
    exif[0x0112] = orientation
    coarse = Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8))
    coarse.resize(size, Image.Resampling.BICUBIC).save(path, exif=exif, quality=95)
    reduced, expected = read_image(path, longest_side=70), reduced_image(read_image(path), 70)
    assert reduced.shape == expected.shape
    assert np.abs(reduced.astype(int) - expected).mean() < 2


def test_a_truncated_jpeg_is_refused_although_only_an_eighth_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    whole = encoded(Image.effect_noise((640, 480), 80).convert("RGB"), format="JPEG")
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"photo\.jpg' cannot be read"):
        read_image(path, longest_side=70)


def test_damaged_exif_is_no_reason_to_refuse(tmp_path: Path) -> None:
    path = tmp_path / "exif.jpg"
    path.write_bytes(encoded(Image.new("RGB", (8, 8)), format="JPEG", exif=b"Exif\x00\x00 no exif at all"))
    assert read_image(path).shape == (8, 8, 3)


PNG = encoded(Image.fromarray(np.arange(3000, dtype=np.uint8).reshape(20, 50, 3)), format="PNG")
FLOATS = encoded(Image.new("F", (3, 2), 0.5), format="TIFF")
WIDE = encoded(Image.new("I", (3, 2), 70000), format="TIFF")
PROGRAM = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"no picture", "cannot be read"),
        (PNG[: len(PNG) // 2], "cannot be read"),
        (PROGRAM, "cannot be read"),
        (FLOATS, "float pixels"),
        (WIDE, "32-bit pixels"),
    ],
    ids=["empty", "text", "truncated", "postscript", "float", "32 bit"],
)
def test_what_is_no_image_is_refused_by_name(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "bad.png"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read_image(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_file_and_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no image .*gone\.png"):
        read_image(tmp_path / "gone.png")
    with pytest.raises(DataError, match="cannot be read"):
        read_image(tmp_path)


def test_size_is_checked_before_pixels_are_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    path.write_bytes(PNG[:60])  # the header says 50 x 20, the pixels are cut off: only a check of the header gets here
    with pytest.raises(DataError, match="50 x 20 = 1000 pixels, at most 999"):
        read_image(path, max_pixels=999)


def test_sizes_that_pillow_itself_refuses_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    header = bytearray(PNG)
    header[16:24] = (60000).to_bytes(4, "big") * 2
    header[29:33] = zlib.crc32(header[12:29]).to_bytes(4, "big")
    path.write_bytes(header)
    with pytest.raises(DataError, match=r"bomb\.png' is too large.*raise data\.max_pixels"):
        read_image(path, max_pixels=2 * MAX_PIXELS)


def test_a_raised_limit_holds_in_place_of_that_of_pillow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Pillow itself refuses images of more than twice that; strips of 2^20 pixels are below it, as in life.
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_100_000)
    path = tmp_path / "wide.png"
    write_label_map(path, np.eye(1500, 1500, dtype=np.uint8))
    with pytest.raises(DataError, match="is too large"):
        read_image(path)
    assert read_label_map(path, max_pixels=MAX_PIXELS + 1).sum() == 1500
    with ThreadPoolExecutor(4) as threads:
        images = list(threads.map(lambda _: read_image(path, max_pixels=MAX_PIXELS + 1), range(8)))
    assert all((image[np.arange(1500), np.arange(1500)] == (128, 0, 0)).all() for image in images)
    assert Image.MAX_IMAGE_PIXELS == 1_100_000
    with pytest.raises(DataError, match="no image"):
        read_image(tmp_path / "gone.png", max_pixels=MAX_PIXELS + 1)
    assert Image.MAX_IMAGE_PIXELS == 1_100_000


@pytest.mark.parametrize("size", [(1500, 1400), (2**20 + 5, 2)], ids=["high", "wide"])
def test_large_images_are_copied_whole(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "large.png"
    values = np.random.default_rng(0).integers(0, 2, (size[1], size[0]), np.uint8)
    Image.fromarray(values * 255).save(path, compress_level=1)
    assert np.array_equal(read_image(path), np.repeat(values[..., None] * np.uint8(255), 3, axis=2))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, len(PNG) - 1), value=st.integers(0, 255), cut=st.integers(1, len(PNG)))
def test_damaged_files_end_in_an_image_or_a_data_error(tmp_path: Path, place: int, value: int, cut: int) -> None:
    content = bytearray(PNG)
    content[place] = value
    path = tmp_path / "damaged.png"
    path.write_bytes(content[:cut])
    for read in (read_image, read_label_map):
        try:
            assert read(path, max_pixels=10**5).shape[0] > 0
        except DataError as error:
            assert "damaged.png" in str(error)


@pytest.mark.parametrize(
    ("labels", "mode"),
    [([[0, 1, 255]], "P"), ([[0, 20, 3]], "P"), ([[0, 256, 65535]], "I;16")],
    ids=["with ignore", "without", "16 bit"],
)
def test_label_maps_come_back_as_they_were(tmp_path: Path, labels: list[list[int]], mode: str) -> None:
    path = tmp_path / "deep" / "mask.png"
    write_label_map(path, np.array(labels))
    assert read_label_map(path).tolist() == labels
    with Image.open(path) as image:
        assert image.mode in {mode, "I"}  # Pillow before 11 calls 16-bit grey I
        if mode == "P":
            assert image.getpalette() == voc_palette().ravel().tolist()
    assert [file.name for file in path.parent.iterdir()] == ["mask.png"]


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_grey_and_palette_maps_of_few_bits_hold_labels(tmp_path: Path, bits: int) -> None:
    labels = np.array([[0, 1, 1, 0], [1, 0, 1, 1]], dtype=np.uint8) * (2**bits - 1)
    palette = Image.fromarray(labels)
    palette.putpalette(voc_palette().tobytes())
    palette.save(tmp_path / "palette.png", bits=bits)
    assert (read_label_map(tmp_path / "palette.png") == labels).all()
    (tmp_path / "grey.png").write_bytes(grey_png(labels, bits))
    assert (read_label_map(tmp_path / "grey.png") == labels).all()


def grey_png(labels: np.ndarray, bits: int) -> bytes:
    """Write a grey PNG of few bits by hand, since Pillow writes none of 2 and 4."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = labels.shape
    digits = [[format(int(value), f"0{bits}b") for value in row] for row in labels]
    rows = b"".join(
        b"\0" + int("".join(row).ljust(-(-width * bits // 8) * 8, "0"), 2).to_bytes(-(-width * bits // 8), "big")
        for row in digits
    )
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA"])
def test_colours_are_no_labels(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "colours.png"
    Image.new(mode, (3, 2)).save(path)
    with pytest.raises(DataError, match=rf"colours\.png' holds colours \({mode}\).*replace each colour"):
        read_label_map(path)


def test_lossy_files_are_no_label_maps(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    Image.new("L", (8, 8)).save(path, format="JPEG")
    with pytest.raises(DataError, match="cannot be read"):
        read_label_map(path)


@pytest.mark.parametrize(
    "mask",
    [
        np.zeros((2, 2)),
        np.zeros((2, 2, 1), dtype=int),
        np.array([[-1]]),
        np.array([[65536]]),
        np.zeros((0, 2), dtype=int),
    ],
    ids=["float", "three axes", "negative", "too large", "no pixel"],
)
def test_what_is_no_label_map_is_not_written(tmp_path: Path, mask: np.ndarray) -> None:
    with pytest.raises(DataError, match=r"mask\.png"):
        write_label_map(tmp_path / "mask.png", mask)
    assert not list(tmp_path.iterdir())


def test_masks_hold_labels_of_their_classes_only(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    write_label_map(path, np.array([[0, 1, 2, 255]]))
    assert read_mask(path, Classes(("cat", "dog"))).tolist() == [[0, 1, 2, 255]]
    with pytest.raises(DataError, match=r"labels \[2\], expected 0..1 and 255"):
        read_mask(path, Classes(("cat",)))


def test_confidence_comes_back_as_it_was_in_one_bit(tmp_path: Path) -> None:
    path = tmp_path / "confidence.png"
    trusted = np.array([[True, False, True]])
    write_confidence(path, trusted)
    assert read_confidence(path).tolist() == trusted.tolist()
    with Image.open(path) as image:
        assert image.mode == "1"
    with pytest.raises(DataError, match="expected"):
        write_confidence(path, np.zeros(3, dtype=bool))
