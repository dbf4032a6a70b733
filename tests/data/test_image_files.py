from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from ktse.data.image_files import ImageFiles, image_endings, list_images
from ktse.errors import DataError


def draw(path: Path, grey: int = 7, size: tuple[int, int] = (5, 4)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, grey).save(path)
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for number, name in enumerate(["b.png", "a.JPG", "garden/a.bmp", "garden/deep/c: 50%.tif"]):
        draw(tmp_path / "photos" / name, number)
    (tmp_path / "photos" / "notes.md").write_text("no image")
    (tmp_path / "photos" / "folder.png").mkdir()
    draw(tmp_path / "photos" / ".thumbnails" / "b.png")
    draw(tmp_path / "photos" / "._b.png")
    return tmp_path / "photos"


def test_a_folder_with_all_that_is_in_it(photos: Path) -> None:
    images = list_images(photos)
    assert images.ids == ("a", "b", "garden/a", "garden/deep/c%3A 50%25")
    assert len(images) == 4
    assert [image.shape for image in map(images.image, range(4))] == [(4, 5, 3)] * 4
    assert [int(images.image(index)[0, 0, 0]) for index in (1, 2)] == [0, 2]


def test_predictions_below_the_folder_are_left_out(photos: Path) -> None:
    draw(photos / "masks" / "b.png")
    assert "masks/b" in list_images(photos).ids
    assert "masks/b" not in list_images(photos, leave_out=photos / "masks").ids
    with pytest.raises(DataError, match=r"no images in .* beside those in"):
        list_images(photos, leave_out=photos)


def test_one_file(photos: Path) -> None:
    images = list_images(photos / "garden" / "a.bmp")
    assert images.ids == ("a",)
    assert images.image(0)[0, 0].tolist() == [2, 2, 2]


def test_a_list(photos: Path, tmp_path: Path) -> None:
    outside = draw(tmp_path / "elsewhere" / "d.png", 9)
    lines = ["# a list", "", "  garden/a.bmp ", "./b.png", str(outside), "missing.png", "../elsewhere/d.jpg"]
    with pytest.raises(DataError, match=r"d\.png' and '.*\.\./elsewhere/d\.jpg' share the id 'd'"):
        list_images(write(photos / "list.txt", lines))
    images = list_images(write(photos / "list.txt", lines[:-1]))
    assert images.ids == ("garden/a", "b", "d", "missing")
    assert images.image(2)[0, 0, 0] == 9
    with pytest.raises(DataError, match=r"no image '.*missing\.png'"):
        images.image(3)


def write(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join(lines), encoding="utf-8-sig")
    return path


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "names no image"),
        (b"# nothing\n\n", "names no image"),
        (
            b"Dear diary,\ntoday I saw a cat.",
            r"of the 2 files that list '.*' names none is there, '.*Dear diary,' first",
        ),
        (b"\xff\xfe\x00photo", "is not UTF-8"),
    ],
    ids=["empty", "comments", "another text", "bytes"],
)
def test_what_is_no_list(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "list.txt").write_bytes(content)
    with pytest.raises(DataError, match=words):
        list_images(tmp_path / "list.txt")


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no image, folder or list '.*nowhere'"):
        list_images(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"no images in '.*empty'\. Files are found by their endings: .*\.jpg"):
        list_images(tmp_path / "empty")
    with pytest.raises(DataError, match="there are no images"):
        ImageFiles([], [])


def test_two_images_of_one_id_are_named(photos: Path) -> None:
    draw(photos / "b.webp")
    with pytest.raises(DataError, match=r"b\.png' and '.*b\.webp' share the id 'b'"):
        list_images(photos)


def test_two_images_that_differ_in_case_only_are_named(photos: Path) -> None:
    """The systems of Windows and macOS would lay one prediction over the other."""
    with pytest.raises(DataError, match=r"b\.png' and '.*B\.png' have the ids 'b' and 'B', .* rename one of two"):
        list_images(write(photos / "list.txt", ["b.png", "B.png"]))


def test_the_limit_of_pixels_is_kept(photos: Path) -> None:
    with pytest.raises(DataError, match=r"5 x 4 = 20 pixels, at most 19 are read.*data\.max_pixels"):
        list_images(photos, max_pixels=19).image(0)


def test_links_that_go_round_in_circles(photos: Path) -> None:
    (photos / "garden" / "again").symlink_to(photos)
    assert len(list_images(photos)) == 4


def test_endings_are_those_of_formats_that_are_opened() -> None:
    assert {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm"} <= image_endings()
    assert not {".eps", ".pdf", ".svg", ".npy"} & image_endings()
    assert all(ending == ending.lower() for ending in image_endings())
