"""Overlays against colours worked out by hand."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from ktse.report.figures import (
    class_colours,
    fit_image,
    fit_scores,
    heat_overlay,
    jpeg_uri,
    mask_overlay,
)

RED = np.array([[255, 0, 0]], np.uint8)


def flat(colour, shape=(6, 6)):
    return np.full((*shape, 3), colour, np.uint8)


@pytest.mark.parametrize("count", [1, 7, 10, 11, 20, 80])
def test_colours_differ(count):
    colours = class_colours(count).astype(int)
    assert colours.shape == (count, 3)
    distances = np.abs(colours[:, None] - colours[None]).sum(-1) + 1000 * np.eye(count, dtype=int)
    assert distances.min() > (90 if count <= 20 else 15)


def test_mask_colours_classes_and_greys_the_rest():
    mask = np.zeros((6, 6), np.uint8)
    mask[:3] = 1
    drawn = mask_overlay(flat((90, 60, 30)), mask, RED)
    assert drawn[0, 0].tolist() == [round(0.38 * 90 + 0.62 * 255), round(0.38 * 60), round(0.38 * 30)]
    assert drawn[5, 0].tolist() == [round(0.65 * 60 + 0.35 * 255)] * 3
    assert (drawn[2] == 255).all()  # the outline
    assert (drawn[3:] != 255).all()


def test_ignored_pixels_are_striped_and_have_no_colour():
    mask = np.full((16, 16), 65535, np.uint16)
    drawn = mask_overlay(flat((0, 0, 0), (16, 16)), mask, RED, ignore_index=65535)
    assert (drawn == 255).mean() == pytest.approx(0.5)
    assert (drawn[..., 0] == drawn[..., 1]).all()


def test_heat_shows_the_image_where_nothing_is_and_glows_where_something_is():
    scores = np.zeros((6, 6), np.float16)
    scores[0, 0] = 1
    drawn = heat_overlay(flat((90, 60, 30)), scores).astype(int)
    assert drawn[5, 5].tolist() == [60, 60, 60]
    brightness = heat_overlay(flat((0, 0, 0), (1, 5)), np.linspace(0, 1, 5)[None]).sum(-1)[0].astype(int)
    assert (np.diff(brightness) > 0).all()


def test_scores_beyond_their_range_do_not_wrap():
    drawn = heat_overlay(flat((9, 9, 9), (1, 2)), np.array([[1.001, -0.001]]))
    np.testing.assert_array_equal(drawn, heat_overlay(flat((9, 9, 9), (1, 2)), np.array([[1.0, 0.0]])))


@pytest.mark.parametrize("shape", [(30, 60), (60, 30), (300, 200), (1, 500)], ids=str)
def test_everything_is_fitted_to_one_size(shape):
    generator = np.random.default_rng(0)
    image = generator.integers(0, 256, (*shape, 3), dtype=np.uint8)
    fitted = fit_image(image, 48).shape[:2]
    assert max(fitted) == 48
    assert fit_scores(np.zeros((3, 4), np.float16), fitted).shape == fitted


def test_uri_holds_the_picture():
    kind, data = jpeg_uri(flat((10, 200, 30))).split(",")
    assert kind == "data:image/jpeg;base64"
    read = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
    assert np.abs(read.astype(int) - flat((10, 200, 30))).max() <= 4
