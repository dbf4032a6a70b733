"""Tags of a folder of images as tables: reading CSV files with the columns `image` and `tags`."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ktse.errors import DataError

COLUMNS = ("image", "tags")
_SEPARATOR = re.compile(r"[;|,]")


@dataclass(frozen=True, slots=True)
class TaggedImage:
    """One row: an image and the names of its tags.

    Attributes:
        image: Path of the image below the image folder, as it is written.
        tags: Names of its classes; none for an image of background only.
        line: Where it is written, for errors.
    """

    image: str
    tags: tuple[str, ...]
    line: int


def read_csv_tags(path: Path) -> list[TaggedImage]:
    r"""Read a CSV file with the header `image,tags`; the tags of a cell are separated by `;`, `|` or `,`.

    Tags may also stand in cells of their own (`a.jpg,cat,dog`). An empty cell is an image without tags.

    Raises:
        DataError: The file is missing, empty, has no such header or a row without image; file and line are named.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "train.csv")
        ...     _ = path.write_text("image,tags\na.jpg,cat;dog\nb.jpg,\n")
        ...     [(row.image, row.tags) for row in read_csv_tags(path)]
        [('a.jpg', ('cat', 'dog')), ('b.jpg', ())]
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(_rows(path, file))
    except FileNotFoundError:
        raise DataError(f"there is no file '{path}'.", remedy="Write it with the header image,tags.") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"'{path}' cannot be read: {error}.", remedy="Save it as CSV in UTF-8.") from None
    if not rows:
        raise DataError(f"'{path}' lists no image.", remedy="Add a row `image,tags` for each image.")
    return rows


def has_tag_columns(path: Path) -> bool:
    """Return whether a CSV file has the header of tags; other tables may lie beside it."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return set(COLUMNS) <= set(_header(csv.reader(file)))
    except (OSError, UnicodeDecodeError, csv.Error):
        return False


def _rows(path: Path, lines: Iterator[str]) -> Iterator[TaggedImage]:
    reader = csv.reader(lines)
    header = _header(reader)
    if not header:
        raise DataError(f"'{path}' is empty.", remedy="Write the header image,tags and a row for each image.")
    if not set(COLUMNS) <= set(header):
        raise DataError(
            f"'{path}' begins with '{','.join(header)}', expected the header 'image,tags'.",
            remedy="Write image,tags as its first line.",
        )
    image_column, tags_column = (header.index(name) for name in COLUMNS)
    for cells in reader:
        if not any(cell.strip() for cell in cells):
            continue
        image = cells[image_column].strip() if image_column < len(cells) else ""
        if not image:
            raise DataError(
                f"'{path}', line {reader.line_num}: no image is named.", remedy="Name it or remove the row."
            )
        last = len(cells) if tags_column == len(header) - 1 else tags_column + 1
        words = (word.strip() for cell in cells[tags_column:last] for word in _SEPARATOR.split(cell))
        yield TaggedImage(image, tuple(dict.fromkeys(word for word in words if word)), reader.line_num)


def _header(reader: Iterator[list[str]]) -> list[str]:
    return [cell.strip().lower() for cell in next(reader, [])]
