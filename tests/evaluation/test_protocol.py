"""A protocol says what a number depends on, keeps it on disk, and refuses what it does not understand."""

import json

import pytest

from ktse.config import Recipe, replace
from ktse.errors import DataError
from ktse.evaluation.protocol import Protocol, protocol_of

FULL = Protocol(
    dataset="voc12",
    split="train",
    images=1464,
    images_without_mask=3,
    recipe="voc12/published",
    random_seed=5137,
    commit="0123456789abcdef+changes",
    scales=(0.5, 1.0),
    mirror=True,
    crf=False,
    refinement=("par",),
    threshold=0.21,
    threshold_source="masks",
    cam_stride=4,
)


def test_round_trip_through_json():
    assert Protocol.from_json(json.loads(json.dumps(FULL.to_json()))) == FULL


def test_words_name_everything_that_makes_scores_differ():
    assert FULL.in_words() == (
        "voc12 train, 1464 images (3 without mask left out); threshold 0.21 chosen on these masks; "
        "scales 0.5, 1, mirrored; refined by PAR; no CRF; CAM on a grid of 4 px; random seed 5137; "
        "commit 0123456789 with changes"
    )


def test_words_of_what_is_not_known():
    assert Protocol(dataset="mine", split="val", images=7).in_words() == "mine val, 7 images"


def test_words_of_the_other_values():
    protocol = Protocol(
        dataset="x", split="y", images=1, scales=(1.0,), mirror=False, crf=True, threshold=0.3,
        threshold_source="fixed", cam_stride=1, commit="abc",
    )  # fmt: skip
    assert protocol.in_words() == (
        "x y, 1 images; threshold 0.3 fixed; scale 1; with CRF; CAM at full size; commit abc"
    )


@pytest.mark.parametrize(
    "values",
    [None, [], {}, {"dataset": "x", "split": "y"}, FULL.to_json() | {"more": 1}, FULL.to_json() | {"images": "many"},
     FULL.to_json() | {"threshold_source": "luck"}, FULL.to_json() | {"scales": 5}],
    ids=["nothing", "list", "empty", "no count", "unknown name", "text for a number", "unknown source", "no list"],
)  # fmt: skip
def test_unreadable_protocol(values):
    with pytest.raises(DataError, match="no readable protocol"):
        Protocol.from_json(values)


RECIPE = replace(
    Recipe(),
    name="mine",
    localization={"scales": (0.5, 2.0), "mirror": True, "cam_stride": 8},
    refinement={"background_score": 0.4},
    segmentation={"scales": (1.0, 1.5), "mirror": False},
    runtime={"random_seed": 9},
)


@pytest.mark.parametrize(
    ("stage", "scales", "mirror", "cam_stride", "refinement", "threshold", "source"),
    [
        ("seeds", (0.5, 2.0), True, 8, None, None, "none"),
        ("masks", (0.5, 2.0), True, 8, ("par",), 0.4, "fixed"),
        ("predictions", (1.0, 1.5), False, None, None, None, "none"),
    ],
)
def test_each_stage_names_its_own_settings(
    in_memory, make_masks, stage, scales, mirror, cam_stride, refinement, threshold, source
):
    protocol = protocol_of(stage, in_memory(make_masks()), RECIPE, images=3)
    assert (protocol.dataset, protocol.split) == ("memory", "train")
    assert (protocol.images, protocol.images_without_mask) == (3, 1)
    assert (protocol.recipe, protocol.random_seed, protocol.crf) == ("mine", 9, False)
    assert (protocol.scales, protocol.mirror, protocol.cam_stride) == (scales, mirror, cam_stride)
    assert (protocol.refinement, protocol.threshold, protocol.threshold_source) == (refinement, threshold, source)


def test_foreign_label_maps_claim_nothing(in_memory, make_masks):
    protocol = protocol_of("predictions", in_memory(make_masks()), None, images=4)
    assert protocol == Protocol(dataset="memory", split="train", images=4)
