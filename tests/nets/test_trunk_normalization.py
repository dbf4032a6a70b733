from __future__ import annotations

import pytest

from ktse.nets.trunk_normalization import other_normalizations

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
HALVES = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}


@pytest.mark.parametrize("trunk", ["resnet38d", "demo", "vgg16", "resnet101.tv2_in1k", "resnet50", "no_such_network"])
def test_nothing_is_said_of_trunks_that_fit_or_are_unknown(trunk: str) -> None:
    assert other_normalizations({"localization": trunk}, **IMAGENET) == []


def test_both_numbers_and_the_section_are_named() -> None:
    said = other_normalizations({"localization": "demo", "refinement.irn": "tf_efficientnet_lite0"}, **IMAGENET)
    assert len(said) == 1
    for part in ("refinement.irn.trunk 'tf_efficientnet_lite0'", "0.5,0.5,0.5", "0.485,0.456,0.406"):
        assert part in said[0]
    assert other_normalizations({"refinement.irn": "tf_efficientnet_lite0"}, **HALVES) == []


def test_mean_and_deviation_both_count() -> None:
    for mixed in ({**HALVES, "std": IMAGENET["std"]}, {**HALVES, "mean": IMAGENET["mean"]}):
        assert len(other_normalizations({"localization": "tf_efficientnet_lite0"}, **mixed)) == 1


def test_rounding_is_no_difference() -> None:
    assert other_normalizations({"segmentation": "resnet50"}, mean=(0.4852, 0.456, 0.406), std=IMAGENET["std"]) == []
