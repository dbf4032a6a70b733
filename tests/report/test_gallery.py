"""Which images are shown, in which order, and what is said of them."""

import numpy as np
import pytest

from ktse.artifacts import RunDirectory, write_cams
from ktse.data.image_io import read_label_map, write_label_map
from ktse.data.shapes import Shapes
from ktse.report.gallery import make_gallery
from ktse.types import CamSet


@pytest.fixture(scope="module")
def train():
    return Shapes("train", count=6)


def test_panels_in_the_order_of_the_flow(finished_run, train):
    baseline = RunDirectory(finished_run.root / "baseline")
    (exhibit,) = make_gallery(finished_run, train, 1, baseline=baseline).exhibits
    assert [panel.kind for panel in exhibit.panels] == ["image", "truth", "baseline cam", "cam", "seed", "mask"]


def test_images_are_spread_evenly(finished_run, train):
    gallery = make_gallery(finished_run, train, 3)
    assert [exhibit.id for exhibit in gallery.exhibits] == ["train/0001", "train/0003", "train/0005"]
    assert (gallery.total, gallery.widest) == (6, 5)


def test_images_of_which_nothing_was_made_are_passed_over(tmp_path, train):
    run = RunDirectory(tmp_path)
    write_label_map(run.mask("train/0004"), train.mask(4))
    gallery = make_gallery(run, train, 3)
    assert [exhibit.id for exhibit in gallery.exhibits] == ["train/0004"]
    assert make_gallery(RunDirectory(tmp_path / "empty"), train, 3).widest == 0


def test_tags_are_those_of_the_data(finished_run, train):
    for index, exhibit in enumerate(make_gallery(finished_run, train, 6).exhibits):
        assert exhibit.tags == tuple(np.flatnonzero(train.tags[index]))


def test_descriptions_name_what_is_to_be_seen(tmp_path, train):
    run = RunDirectory(tmp_path)
    half = np.zeros((96, 96), np.uint8)
    half[:24], half[24:48], half[90:] = 1, 3, 255
    write_label_map(run.mask("train/0000"), half)
    write_label_map(run.seed("train/0000"), np.zeros((96, 96), np.uint8))
    write_cams(run.cams("train/0000"), CamSet(np.zeros((2, 24, 24)), np.array([0, 2]), (96, 96)))
    (exhibit,) = make_gallery(run, train, 1).exhibits
    said = {panel.kind: panel.description for panel in exhibit.panels}
    first, third = train.classes.names[0], train.classes.names[2]
    assert said["mask"] == f"pseudo mask: {first} 25%, {third} 25%"
    assert said["seed"] == "seed: background only"
    assert said["cam"] == f"CAM: activation of {first}, {third}"


def test_masks_may_be_as_large_as_the_image_whatever_the_default(finished_run, train, monkeypatch):
    monkeypatch.setattr(read_label_map, "__kwdefaults__", {"max_pixels": 1})
    (exhibit,) = make_gallery(finished_run, train, 1).exhibits
    assert "mask" in [panel.kind for panel in exhibit.panels]


def test_cams_of_an_untagged_image_are_dark(tmp_path, train):
    run = RunDirectory(tmp_path)
    write_cams(run.cams("train/0000"), CamSet(np.zeros((0, 24, 24)), np.zeros(0, np.int64), (96, 96)))
    (exhibit,) = make_gallery(run, train, 1).exhibits
    assert exhibit.panels[-1].description == "CAM: activation of no class"


def test_masks_made_at_a_reduced_size_are_drawn_over_the_image_as_it_is(tmp_path, train, monkeypatch):
    monkeypatch.setattr(type(train), "image", lambda dataset, index: np.zeros((1006, 4000, 3), np.uint8))
    run = RunDirectory(tmp_path)
    write_label_map(run.mask("train/0000"), np.ones((97, 384), np.uint8))  # fitted by itself it would be a px higher
    write_cams(run.cams("train/0000"), CamSet(np.zeros((1, 25, 96)), np.array([0]), (97, 384)))
    (exhibit,) = make_gallery(run, train, 1).exhibits
    assert {"image", "cam", "mask"} <= {panel.kind for panel in exhibit.panels}
