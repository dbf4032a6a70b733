"""What is unusual about how an image is stored, said by its header alone."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from PIL import Image

from ktse.data.image_io import IMAGE_FORMATS

TRAITS: Final = {
    "images turned by EXIF": "They are read upright, as viewers show them; masks have to be upright too.",
    "images in CMYK": "They are turned to RGB without a colour profile, which may shift colours.",
    "images of 16 bits a channel": "They are read with 8 bits over the full range, so that narrow ranges become dark.",
    "images with transparency": "They are laid on white.",
    "grey images": "They are read as RGB; trunks have been trained on colours.",
    "files of several pictures": "The first one is read.",
}
"""Traits, and what reading an image does about them."""

_ORIENTATION_TAG: Final = 0x0112
_GREY_MODES: Final = ("1", "L", "LA", "La")


def image_traits(path: Path) -> list[str]:
    """Return what of `TRAITS` an image file has; of a file that cannot be read, nothing.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Image.new("LA", (4, 3)).save(Path(folder, "a.png"))
        ...     image_traits(Path(folder, "a.png"))
        ['images with transparency', 'grey images']
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks on size and damaged EXIF
            with Image.open(path, formats=IMAGE_FORMATS) as image:
                return list(_traits(image))
    except Exception:  # Pillow's readers raise whatever their parsers stumble over; reading the pixels says what
        return []


def _traits(image: Image.Image) -> Iterator[str]:
    coding = [str(tile[3]) for tile in getattr(image, "tile", ())]  # gone once EXIF is asked for
    if image.getexif().get(_ORIENTATION_TAG, 1) != 1:
        yield "images turned by EXIF"
    if image.mode == "CMYK":
        yield "images in CMYK"
    if image.mode.startswith("I") or any("16" in mode for mode in coding):
        yield "images of 16 bits a channel"
    if image.has_transparency_data:
        yield "images with transparency"
    if image.mode in _GREY_MODES or image.mode.startswith("I"):
        yield "grey images"
    if getattr(image, "n_frames", 1) > 1:
        yield "files of several pictures"
