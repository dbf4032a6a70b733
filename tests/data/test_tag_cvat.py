from __future__ import annotations

from pathlib import Path

import pytest

from ktse.data import tag_files
from ktse.data.tag_cvat import read_cvat_tags
from ktse.errors import DataError

EXPORT = """<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta><task><labels><label><name>cat</name></label><label><name>unused</name></label></labels></task></meta>
  <image id="0" name="deep/a.jpg" width="8" height="6">
    <box label="dog" xtl="1" ytl="1" xbr="2" ybr="2"><attribute name="label">no tag</attribute></box>
    <polygon label="cow" points="1,1;2,2;3,1"/>
    <mask label="dog" rle="1, 2" left="0" top="0" width="2" height="2"/>
    <tag label=" cat "></tag>
  </image>
  <image id="1" name="b.jpg" width="8" height="6"/>
</annotations>
"""


def write(folder: Path, content: str | bytes) -> Path:
    path = folder / "train.xml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_tags_boxes_and_polygons(tmp_path: Path) -> None:
    rows = read_cvat_tags(write(tmp_path, EXPORT))
    assert [(row.image, row.tags) for row in rows] == [("deep/a.jpg", ("dog", "cow", "cat")), ("b.jpg", ())]


def test_other_encodings(tmp_path: Path) -> None:
    text = (
        '<?xml version="1.0" encoding="utf-16"?><annotations><image name="ä.jpg"><tag label="ö"/></image></annotations>'
    )
    (row,) = read_cvat_tags(write(tmp_path, text.encode("utf-16")))
    assert (row.image, row.tags) == ("ä.jpg", ("ö",))


BOMB = '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (f'{BOMB}<annotations><image name="&b;"/></annotations>', "declares a document type"),
        ('<!DOCTYPE a SYSTEM "file:///etc/passwd"><annotations/>', "declares a document type"),
        ('<annotations><image name="&b;"/></annotations>', "cannot be read as XML"),
        (EXPORT[:-30], "cannot be read as XML"),
        ("name,tags", "cannot be read as XML"),
        ("<annotations/>", "lists no image"),
        ("<svg/>", "its root is <svg>, expected <annotations>"),
        ("<annotations><track label='cat'/></annotations>", "tracks of a video"),
        ("<annotations><image id='1'/></annotations>", "image 1 has no name"),
        ("<annotations><image name='a'><box/></image></annotations>", "a <box> of image 'a' has no label"),
        (b'<?xml version="1.0" encoding="nonsense"?><annotations/>', "cannot be read as XML"),
        ("", "is empty"),
    ],
    ids=["bomb", "outside file", "entity", "cut", "no XML", "no image", "other root", "video", "no name", "no label",
         "encoding", "empty"],
)  # fmt: skip
def test_faults_are_named(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read_cvat_tags(write(tmp_path, content))
    assert "train.xml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_large_files_are_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "train.xml"
    with path.open("wb") as file:
        file.truncate(tag_files.MAX_TAG_BYTES + 1)  # a hole, not a full disk
    with pytest.raises(DataError, match="at most"):
        read_cvat_tags(path)
