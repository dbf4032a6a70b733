from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from ktse.config.crf import CrfSettings
from ktse.errors import InputError, MissingExtraError
from ktse.ops import crf_refinement
from ktse.ops.crf_refinement import refine_by_crf, refine_several_by_crf
from ktse.ops.dense_crf import dense_crf, unary_from_labels
from reference.dense_crf_oracle import by_pydensecrf

HEIGHT, WIDTH = 18, 25
IR_LABEL = CrfSettings()
PREDICTION = CrfSettings(gaussian=(1.0, 3.0), bilateral=(67.0, 3.0, 4.0), unary="scores")
KERNELS = {"gaussian": IR_LABEL.gaussian, "bilateral": IR_LABEL.bilateral}


def picture() -> np.ndarray:
    image = np.random.default_rng(0).integers(80, 100, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    image[:, 11:] += 60
    return image


def scores(labels: int, seed: int = 0) -> Tensor:
    """Smooth scores that do not sum to 1."""
    coarse = torch.rand(1, labels, 4, 5, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(coarse, size=(HEIGHT, WIDTH), mode="bilinear")[0]


class TestUnary:
    def test_labels_stand_for_their_confidence(self) -> None:
        given = scores(3)
        expected = dense_crf(picture(), unary_from_labels(given.argmax(0), 3, confidence=0.9), **KERNELS)
        settings = CrfSettings(confidence=0.9)
        assert torch.equal(refine_by_crf(picture(), given, settings), expected)
        assert torch.equal(refine_by_crf(picture(), 7 * given, settings), expected)

    def test_scores_are_divided_by_their_sum(self) -> None:
        given = scores(3)
        ours = refine_by_crf(picture(), 5 * given, CrfSettings(unary="scores"))
        assert torch.allclose(ours, dense_crf(picture(), given / given.sum(0), **KERNELS), atol=1e-6)
        assert not torch.allclose(ours, dense_crf(picture(), 5 * given, **KERNELS), atol=1e-2)  # cut off at 1

    def test_where_all_scores_are_0_all_labels_are_alike(self) -> None:
        given = scores(4)
        given[:, 3:6] = 0
        ours = refine_by_crf(picture(), given, CrfSettings(unary="scores", iterations=0))
        assert torch.allclose(ours[:, 3:6], torch.tensor(0.25))


@pytest.mark.parametrize("implementation", ["lattice", "pydensecrf"])
@pytest.mark.parametrize("settings", [IR_LABEL, PREDICTION], ids=["ir label", "prediction"])
@pytest.mark.parametrize("labels", [2, 5])
def test_both_implementations_are_pydensecrf(implementation: Any, settings: CrfSettings, labels: int) -> None:
    given = scores(labels)
    unary = given / given.sum(0) if settings.unary == "scores" else unary_from_labels(given.argmax(0), labels)
    kernels = {"gaussian": settings.gaussian, "bilateral": settings.bilateral}
    expected = by_pydensecrf(picture(), -unary.log().reshape(labels, -1).numpy(), kernels, settings.iterations)
    ours = refine_by_crf(picture(), given, settings.model_copy(update={"implementation": implementation}))
    assert np.abs(ours.numpy() - expected).max() <= (1e-3 if implementation == "lattice" else 1e-6)


@pytest.mark.parametrize("left_out", ["gaussian", "bilateral"])
def test_pydensecrf_without_a_kernel(left_out: str) -> None:
    pytest.importorskip("pydensecrf.densecrf", reason="pydensecrf2 is not installed (extra crf)")
    settings = CrfSettings.model_validate({left_out: None})
    theirs = refine_by_crf(picture(), scores(3), settings.model_copy(update={"implementation": "pydensecrf"}))
    assert torch.allclose(refine_by_crf(picture(), scores(3), settings), theirs, atol=1e-3)


class TestSeveral:
    @pytest.mark.parametrize("implementation", ["lattice", "pydensecrf"])
    def test_each_as_alone(self, implementation: Any) -> None:
        if implementation == "pydensecrf":
            pytest.importorskip("pydensecrf.densecrf", reason="pydensecrf2 is not installed (extra crf)")
        settings = CrfSettings(implementation=implementation)
        several = [scores(3), scores(1), scores(4, seed=1).double(), scores(3, seed=2).half()]
        together = refine_several_by_crf(picture(), several, settings)
        for ours, given in zip(together, several, strict=True):
            assert ours.dtype == given.dtype
            assert torch.allclose(ours, refine_by_crf(picture(), given, settings), atol=1e-3)

    def test_lattices_are_built_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        calls = []
        original = crf_refinement.dense_crfs

        def counted(*arguments: Any, **settings: Any) -> list[Tensor]:
            calls.append(len(arguments[1]))
            return original(*arguments, **settings)

        monkeypatch.setattr(crf_refinement, "dense_crfs", counted)
        refine_several_by_crf(picture(), [scores(3), scores(1), scores(2)], IR_LABEL)
        assert calls == [2]

    def test_none(self) -> None:
        assert refine_several_by_crf(picture(), [], IR_LABEL) == []


@pytest.mark.parametrize("settings", [IR_LABEL, PREDICTION], ids=["labels", "scores"])
def test_one_label_is_certain(settings: CrfSettings) -> None:
    assert torch.equal(refine_by_crf(picture(), 0.3 * scores(1), settings), torch.ones(1, HEIGHT, WIDTH))


def test_without_pydensecrf(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydensecrf.densecrf", None)
    with pytest.raises(MissingExtraError, match=r"Python below 3\.13.*ktse\[crf\]"):
        refine_by_crf(picture(), scores(2), CrfSettings(implementation="pydensecrf"))


@pytest.mark.parametrize("implementation", ["lattice", "pydensecrf"])
@pytest.mark.parametrize(
    ("image", "given", "message"),
    [
        (picture()[:5], scores(2), r"scores are \(2, 18, 25\), expected \(labels, 5, 25\)"),
        (picture().astype(np.float32), scores(2), "expected uint8"),
        (picture(), scores(2) - 1, "expected none below 0"),
        (picture(), scores(2) * float("nan"), "scores are not all finite"),
        (picture(), scores(2)[0], r"expected \(labels, 18, 25\)"),
        (picture(), scores(2).argmax(0, keepdim=True), "scores are not all finite floating-point"),
    ],
    ids=["other size", "float image", "negative", "not a number", "one map", "labels"],
)
def test_wrong_input(implementation: Any, image: Any, given: Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message):
        refine_by_crf(image, given, CrfSettings(implementation=implementation))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_runs_where_it_is_told_to() -> None:
    here = refine_by_crf(picture(), scores(3), IR_LABEL)
    there = refine_by_crf(picture(), scores(3), IR_LABEL, device="cuda")
    assert there.device == here.device
    assert torch.allclose(there, here, atol=1e-4)
