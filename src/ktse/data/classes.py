"""The classes of a data set: their names, their labels and their colours."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ktse.errors import DataError, near_matches
from ktse.types import IGNORE_INDEX

WIDE_IGNORE_INDEX = 65535
"""Ignore label of data sets with so many classes that 255 is the label of one of them."""

BACKGROUND_NAMES = ("background", "__background__")
"""Names, in lower case, that label 0 has in lists of classes; none of them is a class."""


@dataclass(frozen=True, slots=True)
class Classes:
    """The K foreground classes in their order; class k has label k + 1, label 0 is background.

    Attributes:
        names: K different names, without background.

    Raises:
        DataError: No name, an empty name, a name twice, or background among the names.

    Example:
        >>> classes = Classes(("cat", "dog"))
        >>> classes.count, classes.num_labels, classes.index("dog"), classes.ignore_index
        (2, 3, 1, 255)
    """

    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.names:
            raise DataError(
                "a data set needs at least one class, got none.", remedy="List the class names, one a line."
            )
        if any(not name.strip() for name in self.names):
            raise DataError(f"a class name is empty: {list(self.names)}.", remedy="Remove it.")
        twice = [name for name, times in Counter(self.names).items() if times > 1]
        if twice:
            raise DataError(f"class '{twice[0]}' is listed more than once.", remedy="Give each class one name.")
        if any(name.lower() in BACKGROUND_NAMES for name in self.names):
            raise DataError(
                "'background' is listed as a class.", remedy="Leave it out: label 0 is background in every data set."
            )

    @property
    def count(self) -> int:
        """K, the number of foreground classes."""
        return len(self.names)

    @property
    def num_labels(self) -> int:
        """L = K + 1, background included."""
        return len(self.names) + 1

    @property
    def ignore_index(self) -> int:
        """Label of pixels that do not count: 255, or 65535 where 255 is a class (K > 254)."""
        return IGNORE_INDEX if self.num_labels <= IGNORE_INDEX else WIDE_IGNORE_INDEX

    def index(self, name: str) -> int:
        """Return the class (0 .. K-1) of a name.

        Raises:
            DataError: The name is unknown; the nearest known names are given.
        """
        try:
            return self.names.index(name)
        except ValueError:
            raise DataError(f"unknown tag '{name}'.", remedy=near_matches(name, self.names)) from None


VOC_CLASSES = Classes(
    (
        *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
        *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
    )
)
"""The 20 classes of PASCAL VOC in the order of its labels."""

COCO_CLASSES = Classes(
    (
        *("person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light"),
        *("fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow"),
        *("elephant", "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee"),
        *("skis", "snowboard", "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard"),
        *("tennis racket", "bottle", "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple"),
        *("sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch"),
        *("potted plant", "bed", "dining table", "toilet", "tv", "laptop", "mouse", "remote", "keyboard"),
        *("cell phone", "microwave", "oven", "toaster", "sink", "refrigerator", "book", "clock", "vase"),
        *("scissors", "teddy bear", "hair drier", "toothbrush"),
    )
)
"""The 80 classes of COCO in ascending order of their category ids (1..90 with gaps, REFERENCE 6.6)."""


def voc_palette() -> NDArray[np.uint8]:
    """Return the colours of VOC's label maps.

    Bits 0, 3, 6 of a label, from the lowest up, become the bits of its red from the highest down;
    bits 1, 4, 7 those of green; bits 2, 5 those of blue.

    Returns:
        (256, 3) uint8, a colour for each label.

    Example:
        >>> voc_palette()[[0, 1, 15, 255]].tolist()
        [[0, 0, 0], [128, 0, 0], [192, 128, 128], [224, 224, 192]]
    """
    labels = np.arange(256)
    palette = np.zeros((256, 3), dtype=np.uint8)
    for bit in range(8):
        palette[:, bit % 3] |= (((labels >> bit) & 1) << (7 - bit // 3)).astype(np.uint8)
    return palette
