from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ktse.data.classes import VOC_CLASSES, Classes, voc_palette
from ktse.data.image_io import write_label_map
from ktse.errors import DataError, InputError
from ktse.segmentation.voc_export import check_voc_export, write_voc_export

IDS = ("2008_000006", "JPEGImages/2008_000011")


@pytest.fixture
def predictions(tmp_path: Path) -> Path:
    for number, id_ in enumerate(IDS):
        write_label_map(tmp_path / f"{id_}.png", np.array([[0, 1 + number, 20]], np.uint8))
    return tmp_path


@pytest.mark.parametrize("competition", ["comp5", "comp6"])
def test_layout_and_pictures_are_what_the_server_takes(predictions: Path, competition: str) -> None:
    write_voc_export(predictions / "ours.tar.gz", predictions, IDS, competition=competition)
    with tarfile.open(predictions / "ours.tar.gz", "r:gz") as archive:
        folder = f"results/VOC2012/Segmentation/{competition}_test_cls"
        assert archive.getnames() == [f"{folder}/2008_000006.png", f"{folder}/2008_000011.png"]
        for number, member in enumerate(archive.getmembers()):
            assert member.isreg()
            content = archive.extractfile(member)
            assert content is not None
            with Image.open(io.BytesIO(content.read())) as image:
                assert (image.format, image.mode) == ("PNG", "P")
                assert np.asarray(image).tolist() == [[0, 1 + number, 20]]
                palette = np.array(image.getpalette(), np.uint8).reshape(-1, 3)
                np.testing.assert_array_equal(palette, voc_palette())


def test_equal_predictions_make_equal_archives(predictions: Path) -> None:
    write_voc_export(predictions / "one.tgz", predictions, IDS)
    (predictions / f"{IDS[0]}.png").touch()
    write_voc_export(predictions / "two.tgz", predictions, IDS)
    with tarfile.open(predictions / "one.tgz") as one, tarfile.open(predictions / "two.tgz") as two:
        assert [member.get_info() for member in one] == [member.get_info() for member in two]


@pytest.mark.parametrize(
    ("ids", "words"),
    [
        ((*IDS, "other/2008_000006"), "two images are called '2008_000006'"),
        ((*IDS, "none"), r"there is no image '.*none\.png'"),
        ((*IDS, "ignored"), r"ignored\.png' has label 255, expected 0\.\.20"),
        (("../outside",), "leads out of the data set"),
    ],
    ids=["same name", "missing", "label", "outside"],
)
def test_what_the_server_would_refuse(predictions: Path, ids: tuple[str, ...], words: str) -> None:
    write_label_map(predictions / "other" / "2008_000006.png", np.zeros((1, 2), np.uint8))
    write_label_map(predictions / "ignored.png", np.array([[255]], np.uint8))
    with pytest.raises(DataError, match=words):
        write_voc_export(predictions / "ours.tgz", predictions, ids)
    assert not (predictions / "ours.tgz").exists()


def test_refusals_before_anything_is_predicted() -> None:
    check_voc_export(Path("ours.tar.gz"), VOC_CLASSES)
    check_voc_export(Path("ours.TGZ"), VOC_CLASSES)
    with pytest.raises(InputError, match=r"Let it end in \.tar\.gz or \.tgz"):
        check_voc_export(Path("ours.zip"), VOC_CLASSES)
    with pytest.raises(InputError, match=r"no competition 'comp4' .* Did you mean 'comp"):
        check_voc_export(Path("ours.tgz"), VOC_CLASSES, competition="comp4")
    for names in (("cat", "dog"), tuple(reversed(VOC_CLASSES.names))):
        with pytest.raises(InputError, match="20 classes in their order, the segmenter knows"):
            check_voc_export(Path("ours.tgz"), Classes(names))
