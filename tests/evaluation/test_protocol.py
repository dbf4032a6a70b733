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
    view_merge="sum_then_relu",
    crf=False,
    refinement=("par",),
    threshold=0.21,
    threshold_source="masks",
    cam_stride=4,
    origins=("localizer of a.pth",),
)


def test_round_trip_through_json():
    assert Protocol.from_json(json.loads(json.dumps(FULL.to_json()))) == FULL


def test_words_name_everything_that_makes_scores_differ():
    assert FULL.in_words() == (
        "voc12 train, 1464 images (3 without mask left out); threshold 0.21 chosen on these masks; "
        "scales 0.5, 1, mirrored; views merged by sum then relu; refined by PAR; no CRF; CAM on a grid of 4 px; "
        "localizer of a.pth; random seed 5137; commit 0123456789 with changes"
    )


def test_words_of_a_prediction_and_of_ir_labels():
    prediction = Protocol(
        dataset="x", split="y", images=1, scales=(1.0,), view_merge="max", inference_size=512, networks=2, crf=True
    )
    assert prediction.in_words() == (
        "x y, 1 images; mean of 2 networks; images resized to 512 x 512; scale 1; views merged by max; with CRF"
    )
    reduced = Protocol(dataset="x", split="y", images=1, longest_side=384, networks=1)
    assert reduced.in_words() == "x y, 1 images; images reduced to at most 384 px"
    of_cams = Protocol(dataset="x", split="y", images=1, longest_side=384)
    assert of_cams.in_words() == "x y, 1 images; images and masks reduced to at most 384 px"
    labels = Protocol(
        dataset="x", split="y", images=1, threshold=0.3, threshold_source="fixed", background_threshold=0.1,
        labelled_only=True,
    )  # fmt: skip
    assert labels.in_words() == "x y, 1 images; labelled pixels only; threshold 0.3 fixed; background below 0.1"


def test_protocol_of_an_older_version_can_be_read():
    old = {"dataset": "x", "split": "y", "images": 1, "scales": [1.0], "mirror": False, "crf": False}
    assert Protocol.from_json(old).view_merge is None


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
    refinement={"background_score": 0.4, "steps": ("par",), "irn": {"background_score": 0.15}},
    segmentation={"scales": (1.0, 1.5), "mirror": False},
    runtime={"random_seed": 9},
)
OF_CAMS = {"scales": (0.5, 2.0), "mirror": True, "view_merge": "relu_then_sum", "cam_stride": 8, "crf": False}
FIXED = {"threshold_source": "fixed"}
OWN = {
    "seeds": ("seeds", RECIPE, OF_CAMS),
    "ir_labels": (
        "ir_labels",
        RECIPE,
        OF_CAMS | FIXED | {"crf": True, "threshold": 0.3, "background_threshold": 0.1, "labelled_only": True},
    ),
    "masks by PAR": ("masks", RECIPE, OF_CAMS | FIXED | {"refinement": ("par",), "threshold": 0.4}),
    "masks by IRN": (
        "masks",
        replace(RECIPE, refinement={"steps": ("irn", "crf")}),
        OF_CAMS | FIXED | {"refinement": ("irn", "crf"), "crf": True, "threshold": 0.15},
    ),
    "step": (
        "steps",
        replace(RECIPE, refinement={"steps": ("crf",)}),
        OF_CAMS | FIXED | {"refinement": ("crf",), "crf": True, "threshold": 0.4},
    ),
    "reduced images": (
        "masks",
        replace(RECIPE, data={"longest_side": 384}),
        OF_CAMS | FIXED | {"refinement": ("par",), "threshold": 0.4, "longest_side": 384},
    ),
    "predictions of two": (
        "predictions",
        RECIPE,
        {"scales": (1.0, 1.5), "mirror": False, "view_merge": "max", "inference_size": 512, "networks": 2, "crf": True},
    ),
    "predictions of one": (
        "predictions",
        replace(
            RECIPE, segmentation={"method": "plain", "use_crf": False, "inference_size": None, "view_merge": "mean"}
        ),
        {"scales": (1.0, 1.5), "mirror": False, "view_merge": "mean", "networks": 1, "crf": False},
    ),
}


@pytest.mark.parametrize(("stage", "recipe", "own"), OWN.values(), ids=OWN)
def test_each_stage_names_its_own_settings(in_memory, make_masks, stage, recipe, own):
    protocol = protocol_of(stage, in_memory(make_masks()), recipe, images=3)
    common = {"recipe": "mine", "random_seed": 9, "commit": protocol.commit}
    whole = Protocol(dataset="memory", split="train", images=3, images_without_mask=1, **common, **own)
    assert protocol == whole


def test_foreign_label_maps_claim_nothing(in_memory, make_masks):
    protocol = protocol_of("predictions", in_memory(make_masks()), None, images=4)
    assert protocol == Protocol(dataset="memory", split="train", images=4)
