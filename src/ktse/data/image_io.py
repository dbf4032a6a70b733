"""Reading and writing pictures: photographs as RGB, label maps as palette PNGs, confidence as 1-bit PNGs.

Files are taken as hostile: the size in the header is checked before anything is unpacked, only plain raster formats are
opened, and whatever a file is or lacks ends in one `DataError` that names it.
"""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from ktse.artifacts import write_bytes_atomic
from ktse.config import DataSettings
from ktse.data.classes import Classes, voc_palette
from ktse.data.longest_side import reduced_size
from ktse.errors import DataError

MAX_PIXELS: Final[int] = DataSettings().max_pixels
"""Default of `max_pixels` below: that of `data.max_pixels`."""

IMAGE_FORMATS: Final = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM")
"""Formats that are opened (Pillow's names). EPS and its like, which run programs, are not among them."""

_LABEL_MODES: Final = ("P", "L", "1", "I", "I;16", "I;16B")
_GREY_STEPS: Final = {"L;2": 85, "L;4": 17}  # Pillow stretches grey of 2 and 4 bits to 0..255
_STRIP: Final = 2**20  # pixels of an image that are copied at a time
_DEEP_MAXIMUM: Final = 65535
_ORIENTATION_TAG: Final = 0x0112  # EXIF's tag for how the camera was held
_LYING: Final = (5, 6, 7, 8)  # its values of a camera that was held upright: height and width change places
_TOO_LARGE: Final = "Cut it into tiles, or raise data.max_pixels if you trust the file."

_LIFTING: Final = threading.Lock()
"""Held while Pillow's limit, one for the whole program, is another."""


def read_image(path: Path, *, max_pixels: int = MAX_PIXELS, longest_side: int | None = None) -> NDArray[np.uint8]:
    """Read a photograph the way a viewer shows it.

    EXIF rotation is applied; grey, palette and CMYK become RGB; 16-bit grey is divided by 257 (the full range, so that
    images stay comparable); transparent parts are laid on white; of an animation the first picture is taken.

    Args:
        path: A file in one of `IMAGE_FORMATS`.
        max_pixels: Largest H * W that is unpacked.
        longest_side: An image with a longer side, px, is reduced to it by Pillow's bicubic filter. A JPEG is unpacked
            at half, a quarter or an eighth of its size, what is just large enough: faster, and hardly another picture.

    Returns:
        (H, W, 3) uint8, RGB.

    Raises:
        DataError: Missing, empty, truncated, damaged, too large, or of float or 32-bit pixels; the file is named.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Image.new("L", (4, 3), 7).save(Path(folder, "grey.png"))
        ...     read_image(Path(folder, "grey.png")).shape
        (3, 4, 3)
    """
    with _opened(path, formats=IMAGE_FORMATS, max_pixels=max_pixels) as image:
        size = image.size if longest_side is None else reduced_size(image.size, longest_side)
        turned_size = size[::-1] if _orientation(image) in _LYING else size
        image.draft(None, size)
        rgb = _as_rgb(_upright(image), path)
        return _as_array(rgb if rgb.size == turned_size else rgb.resize(turned_size, Image.Resampling.BICUBIC))


def read_label_map(path: Path, *, max_pixels: int = MAX_PIXELS) -> NDArray[np.integer[Any]]:
    """Read a label map: a PNG whose palette index or grey value is the label.

    Args:
        path: A palette, grey (1 to 16 bit) PNG.
        max_pixels: Largest H * W that is unpacked.

    Returns:
        (H, W) uint8, or uint16 from a 16-bit PNG.

    Raises:
        DataError: As for `read_image`, and for a PNG with colours or alpha in place of labels.
    """
    with _opened(path, formats=("PNG",), max_pixels=max_pixels) as image:
        if image.mode not in _LABEL_MODES:
            raise DataError(
                f"mask '{path}' holds colours ({image.mode}), expected one label a pixel (palette or grey PNG).",
                remedy="Convert it: replace each colour by the number of its class, 0 for background.",
            )
        step = _grey_step(image)
        labels = np.asarray(image)
    return labels.astype(np.uint16) if image.mode.startswith("I") else labels.astype(np.uint8) // step


def read_mask(path: Path, classes: Classes, *, max_pixels: int = MAX_PIXELS) -> NDArray[np.integer[Any]]:
    """Read the true mask of an image: a label map whose labels are those of the data set.

    Args:
        path: As for `read_label_map`.
        classes: The classes of the data set.
        max_pixels: Largest H * W that is unpacked.

    Returns:
        (H, W) label map.

    Raises:
        DataError: As for `read_label_map`, and for labels of no class; these are named.
    """
    mask = read_label_map(path, max_pixels=max_pixels)
    strange = np.unique(mask[(mask >= classes.num_labels) & (mask != classes.ignore_index)])
    if strange.size:
        raise DataError(
            f"mask '{path}' has labels {strange.tolist()}, expected 0..{classes.count} and {classes.ignore_index}.",
            remedy="Number the classes from 1 in their order; 0 is background.",
        )
    return mask


def write_label_map(path: Path, mask: NDArray[np.integer[Any]]) -> None:
    """Write a label map as a palette PNG in VOC's colours, atomically; as 16-bit grey where a label is above 255.

    Args:
        path: File to write, `.png`.
        mask: (H, W) labels in 0 .. 65535.

    Raises:
        DataError: The mask is not (H, W) integers in that range.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_label_map(Path(folder, "mask.png"), np.array([[0, 15, 255]]))
        ...     read_label_map(Path(folder, "mask.png")).tolist()
        [[0, 15, 255]]
    """
    if mask.ndim != 2 or not mask.size or not np.issubdtype(mask.dtype, np.integer):
        raise DataError(f"a label map for '{path}' is {mask.dtype} {mask.shape}, expected integers of shape (H, W).")
    lowest, highest = int(mask.min()), int(mask.max())
    if lowest < 0 or highest > _DEEP_MAXIMUM:
        raise DataError(f"labels for '{path}' lie in {lowest}..{highest}, expected 0..{_DEEP_MAXIMUM}.")
    if highest > np.iinfo(np.uint8).max:
        image = Image.fromarray(mask.astype(np.uint16))
    else:
        image = Image.fromarray(mask.astype(np.uint8))
        image.putpalette(voc_palette().tobytes())
    _save_png(path, image)


def read_confidence(path: Path, *, max_pixels: int = MAX_PIXELS) -> NDArray[np.bool_]:
    """Read a confidence mask: (H, W) bool, True where a pseudo mask is trusted.

    Raises:
        DataError: As for `read_label_map`.
    """
    trusted: NDArray[np.bool_] = read_label_map(path, max_pixels=max_pixels) != 0
    return trusted


def write_confidence(path: Path, trusted: NDArray[np.bool_]) -> None:
    """Write a confidence mask as a 1-bit PNG, atomically.

    Args:
        path: File to write, `.png`.
        trusted: (H, W) bool, True where a pseudo mask is trusted.

    Raises:
        DataError: The mask is not (H, W).
    """
    if trusted.ndim != 2 or not trusted.size:
        raise DataError(f"a confidence mask for '{path}' has shape {trusted.shape}, expected (H, W).")
    _save_png(path, Image.fromarray(trusted.astype(np.bool_)))


@contextmanager
def _opened(path: Path, *, formats: tuple[str, ...], max_pixels: int) -> Iterator[Image.Image]:
    """Open an image, its size checked, and turn every fault of the file into a `DataError` that names it."""
    again = "Copy it anew or take it out."
    try:
        if path.stat().st_size == 0:
            raise DataError(f"image '{path}' is empty (0 bytes).", remedy=again)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks on size and damaged EXIF: both are dealt with here
            with _open_header(path, formats, max_pixels) as image:
                _check_size(path, image.size, max_pixels)
                yield image
    except DataError:
        raise
    except FileNotFoundError:
        raise DataError(f"there is no image '{path}'.", remedy="Restore it or take it out of the list.") from None
    except Image.DecompressionBombError as error:
        raise DataError(f"image '{path}' is too large: {error}", remedy=_TOO_LARGE) from None
    except Exception as error:  # Pillow's readers raise whatever their parsers stumble over
        reason = str(error).replace(str(path), "").strip(" ':") or type(error).__name__
        raise DataError(f"image '{path}' cannot be read: {reason}.", remedy=again) from None


def _open_header(path: Path, formats: tuple[str, ...], max_pixels: int) -> Image.Image:
    """Open an image; where more is allowed than by default, Pillow's own limit is lifted as far for that moment."""
    if max_pixels <= MAX_PIXELS:
        return Image.open(path, formats=formats)
    with _LIFTING:
        limit = Image.MAX_IMAGE_PIXELS
        try:
            Image.MAX_IMAGE_PIXELS = limit and max(limit, max_pixels)
            return Image.open(path, formats=formats)
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _check_size(path: Path, size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width * height > max_pixels:
        raise DataError(
            f"image '{path}' has {width} x {height} = {width * height} pixels, at most {max_pixels} are read.",
            remedy=_TOO_LARGE,
        )


def _grey_step(image: Image.Image) -> int:
    """Return by how much Pillow is going to multiply the grey values of an opened PNG."""
    tiles = getattr(image, "tile", None)
    return _GREY_STEPS.get(str(tiles[0][3]), 1) if tiles else 1


def _orientation(image: Image.Image) -> int:
    """Return EXIF's orientation; 1 (upright) where there is none or it cannot be read."""
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # as for `_opened`; a photograph whose EXIF block is damaged is still a photograph
        return 1


def _upright(image: Image.Image) -> Image.Image:
    """Turn an image as its EXIF orientation says; a damaged EXIF block says nothing."""
    return image if _orientation(image) == 1 else ImageOps.exif_transpose(image)


def _as_rgb(image: Image.Image, path: Path) -> Image.Image:
    if image.mode.startswith("I"):
        values = np.asarray(image)
        if values.min() < 0 or values.max() > _DEEP_MAXIMUM:
            raise DataError(f"image '{path}' has 32-bit pixels.", remedy="Save it with 8 or 16 bits.")
        return Image.fromarray((values // 257).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise DataError(f"image '{path}' has float pixels of unknown range.", remedy="Save it with 8 or 16 bits.")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _as_array(image: Image.Image) -> NDArray[np.uint8]:
    """Return the pixels of an RGB image, copied in strips: whole, Pillow would hold them twice more on the way."""
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    rows = max(1, _STRIP // image.width)
    for top in range(0, image.height, rows):
        bottom = min(top + rows, image.height)
        pixels[top:bottom] = np.asarray(image.crop((0, top, image.width, bottom)))
    return pixels


def _save_png(path: Path, image: Image.Image) -> None:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    write_bytes_atomic(path, buffer.getvalue())
