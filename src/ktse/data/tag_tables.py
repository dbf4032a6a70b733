"""Tags of a folder of images as tables: reading CSV files with the columns `image` and `tags`."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from ktse.data.tag_files import TaggedImage, read_tag_text, refuse_empty, split_tags
from ktse.errors import DataError

COLUMNS: Final = ("image", "tags")
_DELIMITERS: Final = ",;|\t"
_HEADER_LENGTH: Final = 65536  # characters of which the header is found; other files have no line ends at all


def read_csv_tags(path: Path) -> list[TaggedImage]:
    r"""Read a CSV file with the header `image,tags`; the tags of a cell are separated by `;`, `|` or `,`.

    Columns may be separated by `,`, `;`, `|` or tabs, whichever the header has. Tags may also stand in cells of their
    own (`a.jpg,cat,dog`). An empty cell is an image without tags.

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
        return refuse_empty(path, list(_rows(path, read_tag_text(path))))
    except csv.Error as error:
        raise DataError(f"'{path}' cannot be read: {error}.", remedy="Save it as CSV in UTF-8.") from None


def has_tag_columns(path: Path) -> bool:
    """Return whether a CSV file has the header of tags; other tables may lie beside it."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            line = file.readline(_HEADER_LENGTH)
        return set(COLUMNS) <= set(_header(_reader(line, _delimiter(line))))
    except (OSError, UnicodeDecodeError, csv.Error):
        return False


def _rows(path: Path, text: str) -> Iterator[TaggedImage]:
    first_line = text[:_HEADER_LENGTH].partition("\n")[0]
    reader = _reader(text, _delimiter(first_line))
    header = _header(reader)
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
        yield TaggedImage(image, split_tags(";".join(cells[tags_column:last])), f"line {reader.line_num}")


def _reader(text: str, delimiter: str) -> Any:  # the type of csv's readers has no public name
    return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)


def _delimiter(first_line: str) -> str:
    """Return the sign that parts the columns: the one by which the header has both of them."""
    for delimiter in _DELIMITERS:
        if set(COLUMNS) <= {cell.strip().strip('"').lower() for cell in first_line.split(delimiter)}:
            return delimiter
    return _DELIMITERS[0]


def _header(reader: Iterator[list[str]]) -> list[str]:
    return [cell.strip().lower() for cell in next(reader, [])]
