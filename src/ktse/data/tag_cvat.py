"""Tags from CVAT's export for images (XML 1.1): tags of whole images, and the labels of shapes.

The file is read as a stream of elements. A document type declaration, in which entities could be declared that blow
up or read other files, is refused before it is looked at.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final
from xml.parsers import expat

from ktse.data.tag_files import TaggedImage, check_tag_file, distinct, refuse_empty
from ktse.errors import DataError

_ROOT: Final = "annotations"
_LABELLED: Final = {"tag", "box", "polygon", "polyline", "points", "mask", "ellipse", "cuboid", "skeleton"}


def read_cvat_tags(path: Path) -> list[TaggedImage]:
    """Read the tags of images from CVAT's XML; images without any are background only.

    Raises:
        DataError: Missing, empty, too large, not XML, of another layout, of a video, or with a document type.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "train.xml")
        ...     _ = path.write_text('<annotations><image name="a.jpg"><tag label="cat"/></image></annotations>')
        ...     [(row.image, row.tags) for row in read_cvat_tags(path)]
        [('a.jpg', ('cat',))]
    """
    check_tag_file(path)
    document = _Document(path)
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = document.doctype
    parser.StartElementHandler = document.start
    parser.EndElementHandler = document.end
    try:
        with path.open("rb") as file:
            parser.ParseFile(file)
    except (expat.ExpatError, LookupError, ValueError, OSError) as error:
        raise DataError(f"'{path}' cannot be read as XML: {error}.", remedy="Export it anew.") from None
    return refuse_empty(path, document.rows)


class _Document:
    """What is known of the document so far: its images, and those of its open elements that matter."""

    def __init__(self, path: Path) -> None:
        self.rows: list[TaggedImage] = []
        self._path = path
        self._depth = 0
        self._image: str | None = None
        self._labels: list[str] = []

    def doctype(self, *_: object) -> None:
        raise DataError(
            f"'{self._path}' declares a document type, which CVAT never does.",
            remedy="Take the line <!DOCTYPE ...> out if you trust the file.",
        )

    def start(self, element: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth == 1 and element != _ROOT:
            raise self._of_other_layout(f"its root is <{element}>, expected <{_ROOT}>")
        if self._depth == 2 and element == "track":
            raise self._of_other_layout("it has the tracks of a video")
        if self._depth == 2 and element == "image":
            self._image, self._labels = attributes.get("name", "").strip(), []
            if not self._image:
                raise self._of_other_layout(f"image {len(self.rows) + 1} has no name")
        if self._depth == 3 and self._image and element in _LABELLED:
            if "label" not in attributes:
                raise self._of_other_layout(f"a <{element}> of image '{self._image}' has no label")
            self._labels.append(attributes["label"])

    def end(self, element: str) -> None:
        if self._depth == 2 and element == "image" and self._image:
            self.rows.append(TaggedImage(self._image, distinct(self._labels), f"image {len(self.rows) + 1}"))
            self._image = None
        self._depth -= 1

    def _of_other_layout(self, what: str) -> DataError:
        return DataError(
            f"'{self._path}' is not CVAT's XML for images: {what}.", remedy="Export it as 'CVAT for images 1.1'."
        )
