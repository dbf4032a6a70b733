from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from ktse.errors import DataError, InputError
from ktse.ops.dense_crf import checked_pixels, dense_crf, dense_crfs, unary_from_labels
from reference.dense_crf_oracle import (
    by_pydensecrf,
    exact_kernel,
    image_features,
    lattice_kernel,
    mean_field_by_loops,
)

IR_LABEL = {"gaussian": (3, 3), "bilateral": (50, 5, 10)}  # REFERENCE 5.2
CAM = {"gaussian": (3, 3), "bilateral": (80, 13, 10)}  # REFERENCE 4.1
PREDICTION = {"gaussian": (1, 3), "bilateral": (67, 3, 4)}  # REFERENCE 6.5
SPATIAL = {"gaussian": (3, 3), "bilateral": None}
COLOUR = {"gaussian": None, "bilateral": (50, 5, 10)}
NEITHER = {"gaussian": None, "bilateral": None}


def blobs(channels: int, height: int, width: int, *, seed: int, cell: int = 12) -> Tensor:
    """Smooth random maps (channels, H, W)."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(1, channels, max(2, height // cell), max(2, width // cell), generator=generator)
    return F.interpolate(coarse, size=(height, width), mode="bicubic")[0]


def scores(labels: int, height: int, width: int, *, seed: int = 0) -> Tensor:
    return (2 * blobs(labels, height, width, seed=seed)).softmax(0)


def drawing(height: int, width: int, *, seed: int = 0, brightness: int = 90) -> np.ndarray:
    """A picture with smooth regions, hard edges and noise."""
    noise = np.random.default_rng(seed).normal(0, 4, (height, width, 3))
    smooth = blobs(3, height, width, seed=seed + 1, cell=8).movedim(0, -1).numpy()
    edges = 40.0 * (blobs(1, height, width, seed=seed + 2).numpy()[0] > 0)
    return np.clip(brightness + 25 * smooth + edges[..., None] + noise, 0, 255).astype(np.uint8)


def photograph(number: int, height: int, width: int) -> np.ndarray:
    from PIL import Image

    shared = os.environ.get("KTSE_SHARED")
    if not shared:
        pytest.skip("KTSE_SHARED does not name the folder with photographs")
    path = sorted(Path(shared, "data", "coco_tiny").glob("*2017/*.jpg"))[number]
    with Image.open(path) as image:
        return np.array(image.convert("RGB").resize((width, height)))


class Results(TorchDispatchMode):
    """Adds up the bytes of everything that torch returns."""

    size = 0

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), settings: Any = None) -> Any:
        results = function(*arguments, **(settings or {}))
        for result in results if isinstance(results, tuple | list) else [results]:
            self.size += result.nbytes if isinstance(result, Tensor) else 0
        return results


class TestAgainstLoops:
    def test_whole_on_a_lattice_of_dictionaries(self) -> None:
        image, given = drawing(8, 9), scores(3, 8, 9)
        ours = dense_crf(image, given, iterations=5, gaussian=(2.3, 3), bilateral=(7.1, 11.3, 6))
        kernels = [
            (lattice_kernel(image_features(image, 2.3)), 3.0),
            (lattice_kernel(image_features(image, 7.1, 11.3)), 6.0),
        ]
        expected = mean_field_by_loops(given.reshape(3, -1).T.numpy().astype(float), kernels, 5)
        np.testing.assert_allclose(ours.reshape(3, -1).T.numpy(), expected, atol=1e-4)

    @pytest.mark.parametrize(
        ("settings", "same_labels", "difference"),
        [(SPATIAL, 0.995, 0.003), (PREDICTION, 0.985, 0.01), (CAM, 0.985, 0.01), (IR_LABEL, 0.98, 0.015)],
        ids=["place alone", "prediction", "cam", "ir label"],
    )
    def test_error_of_the_lattice(self, settings: dict[str, Any], same_labels: float, difference: float) -> None:
        """Against the exact Gaussians over all pairs, the mean of three drawings; `dense_crf` states the figures."""
        agreements, differences = [], []
        for seed in range(3):
            image, given = drawing(24, 32, seed=seed), scores(3, 24, 32, seed=seed)
            exact = []
            if settings["gaussian"]:
                exact.append((exact_kernel(image_features(image, settings["gaussian"][0])), settings["gaussian"][1]))
            if settings["bilateral"]:
                kernel = exact_kernel(image_features(image, *settings["bilateral"][:2]))
                exact.append((kernel, settings["bilateral"][2]))
            expected = mean_field_by_loops(given.reshape(3, -1).T.numpy().astype(float), exact, 10)
            ours = dense_crf(image, given, **settings).reshape(3, -1).T.numpy()
            agreements.append((ours.argmax(1) == expected.argmax(1)).mean())
            differences.append(np.abs(ours - expected).mean())
        assert np.mean(agreements) >= same_labels
        assert np.mean(differences) <= difference


# height, width, labels, settings, hard labels in place of probabilities, photograph in place of a drawing
CASES = {
    "8x8": (8, 8, 2, IR_LABEL, True, False),
    "8x8 probabilities": (8, 8, 2, IR_LABEL, False, False),
    "9x7 odd": (9, 7, 3, IR_LABEL, True, False),
    "one row": (1, 40, 2, IR_LABEL, False, False),
    "one column": (33, 1, 2, IR_LABEL, False, False),
    "31x17": (31, 17, 5, IR_LABEL, True, False),
    "31x17 spatial": (31, 17, 5, SPATIAL, False, False),
    "31x17 bilateral": (31, 17, 5, COLOUR, False, False),
    "64x48 cam": (64, 48, 4, CAM, False, False),
    "64x48 prediction": (64, 48, 4, PREDICTION, False, False),
    "64x48 21 labels": (64, 48, 21, IR_LABEL, True, False),
    "90x121 21 probabilities": (90, 121, 21, IR_LABEL, False, False),
    "120x160 spatial": (120, 160, 3, SPATIAL, True, False),
    "photo 8x8": (8, 8, 2, IR_LABEL, True, True),
    "photo 33x47": (33, 47, 3, IR_LABEL, True, True),
    "photo 96x96": (96, 96, 4, IR_LABEL, True, True),
    "photo 96x96 probabilities": (96, 96, 4, IR_LABEL, False, True),
    "photo 120x90 bilateral": (120, 90, 6, COLOUR, True, True),
    "photo 120x90 cam": (120, 90, 21, CAM, False, True),
    "photo 120x90 prediction": (120, 90, 21, PREDICTION, False, True),
    "photo 200x150": (200, 150, 10, IR_LABEL, True, True),
    "photo 375x500": (375, 500, 3, IR_LABEL, True, True),
    "photo 500x333 21 labels": (500, 333, 21, IR_LABEL, False, True),
}


@pytest.mark.parametrize("name", CASES)
def test_against_pydensecrf(name: str) -> None:
    utils = pytest.importorskip("pydensecrf.utils", reason="pydensecrf2 is not installed (extra crf)")
    height, width, labels, settings, hard, photo = CASES[name]
    number = list(CASES).index(name)
    image = photograph(4 * number, height, width) if photo else drawing(height, width, seed=number)
    given = scores(labels, height, width, seed=number)
    energy = utils.unary_from_softmax(given.numpy())
    if hard:
        hard_labels = given.argmax(0)
        energy = utils.unary_from_labels(hard_labels.numpy(), labels, gt_prob=0.7, zero_unsure=False)
        given = unary_from_labels(hard_labels, labels)
    expected = by_pydensecrf(image, energy, settings)
    ours = dense_crf(image, given, **settings).numpy()
    assert (ours.argmax(0) == expected.argmax(0)).mean() >= 0.999
    assert np.abs(ours - expected).max() <= 1e-3


def test_small_dark_images_against_pydensecrf() -> None:
    """Where the library's filled-up blocks show: without them results differ by up to 0.3 here."""
    for number, (height, width) in enumerate([(5, 9), (11, 7), (13, 10), (21, 13)]):
        image = drawing(height, width, seed=number, brightness=0) // 2
        given = scores(3, height, width, seed=number)
        expected = by_pydensecrf(image, -np.log(given.numpy().reshape(3, -1)), IR_LABEL)
        np.testing.assert_allclose(dense_crf(image, given, **IR_LABEL).numpy(), expected, atol=1e-3)


class TestProperties:
    def test_a_distribution_in_dtype_and_on_device_of_the_input(self) -> None:
        image = drawing(10, 12)
        reference = dense_crf(image, scores(4, 10, 12))
        assert torch.allclose(reference.sum(0), torch.ones(10, 12))
        for dtype in (torch.float16, torch.float64):
            refined = dense_crf(torch.from_numpy(image), scores(4, 10, 12).to(dtype).requires_grad_())
            assert refined.dtype == dtype
            assert refined.shape == (4, 10, 12)
            assert torch.allclose(refined.float(), reference, atol=5e-3)

    def test_the_order_of_labels_does_not_matter(self) -> None:
        image, given = drawing(10, 12), scores(4, 10, 12)
        order = [2, 0, 3, 1]
        assert torch.allclose(dense_crf(image, given[order]), dense_crf(image, given)[order], atol=1e-5)

    @pytest.mark.parametrize(
        "settings",
        [{**NEITHER}, {"iterations": 0}, {"gaussian": (3, 0), "bilateral": (50, 5, 0)}],
        ids=["no kernel", "no iteration", "no compatibility"],
    )
    def test_without_messages_probabilities_are_only_normalised(self, settings: dict[str, Any]) -> None:
        given = scores(3, 6, 7)
        assert torch.allclose(dense_crf(drawing(6, 7), given / 2, **settings), given, atol=1e-5)

    def test_one_label_is_certain(self) -> None:
        labels = torch.zeros(6, 7, dtype=torch.long)
        assert torch.equal(dense_crf(drawing(6, 7), unary_from_labels(labels, 1)), torch.ones(1, 6, 7))

    def test_several_at_once_are_each_alone_and_calls_leave_no_trace(self) -> None:
        image = drawing(12, 14)
        several = [scores(3, 12, 14), unary_from_labels(scores(2, 12, 14, seed=1).argmax(0), 2).double()]
        alone = [dense_crf(image, given, **IR_LABEL) for given in several]
        for _ in range(2):
            together = dense_crfs(image, several, **IR_LABEL)
            assert [refined.dtype for refined in together] == [torch.float32, torch.float64]
            assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(together, alone, strict=True))
        assert dense_crfs(image, []) == []

    def test_a_call_repeats_to_the_bit(self) -> None:
        image, given = drawing(30, 40), scores(3, 30, 40)
        assert torch.equal(dense_crf(image, given), dense_crf(image, given))

    def test_large_costs_do_not_overflow(self) -> None:
        refined = dense_crf(drawing(10, 12), scores(3, 10, 12), gaussian=(3, 500), bilateral=(50, 5, 500))
        assert bool(refined.isfinite().all())

    def test_memory_is_linear_in_the_pixels(self) -> None:
        sizes = []
        for factor in (1, 2):
            image, given = drawing(60 * factor, 80 * factor), scores(3, 60 * factor, 80 * factor)
            with Results() as results:
                dense_crf(image, given, iterations=1)
            sizes.append(results.size)
        assert sizes[0] > 60 * 80 * 3 * 4
        assert sizes[1] < 4.5 * sizes[0]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("settings", [IR_LABEL, CAM, PREDICTION], ids=["ir label", "cam", "prediction"])
@pytest.mark.parametrize(("height", "width", "labels"), [(8, 8, 2), (61, 47, 4), (120, 160, 21)])
def test_the_same_on_a_gpu(height: int, width: int, labels: int, settings: dict[str, Any]) -> None:
    image, given = drawing(height, width), scores(labels, height, width)
    refined = dense_crf(image, given.to("cuda"), **settings)
    assert refined.is_cuda
    assert torch.equal(refined, dense_crf(image, given.to("cuda"), **settings))
    assert torch.allclose(refined.cpu(), dense_crf(image, given, **settings), atol=1e-4)
    there = dense_crfs(image, [given], **settings, device="cuda")[0]
    assert torch.allclose(there, refined.cpu(), atol=1e-5)


class TestUnaryFromLabels:
    def test_by_hand(self) -> None:
        unary = unary_from_labels(np.array([[1, 0]]), 4, confidence=0.7)
        assert torch.allclose(unary[:, 0].T, torch.tensor([[0.1, 0.7, 0.1, 0.1], [0.7, 0.1, 0.1, 0.1]]))

    def test_equals_the_energy_of_pydensecrf(self) -> None:
        utils = pytest.importorskip("pydensecrf.utils", reason="pydensecrf2 is not installed (extra crf)")
        labels = np.random.default_rng(0).integers(0, 5, (6, 7))
        energy = utils.unary_from_labels(labels, 5, gt_prob=0.7, zero_unsure=False)
        np.testing.assert_allclose(-unary_from_labels(labels, 5).log().reshape(5, -1).numpy(), energy, rtol=1e-6)

    @pytest.mark.parametrize("label", [3, 255, -1])
    def test_unknown_label(self, label: int) -> None:
        with pytest.raises(DataError, match=f"holds label {label}, expected 0 .. 2"):
            unary_from_labels(np.array([[0, label]]), 3)

    @pytest.mark.parametrize("confidence", [0.0, 1.0, float("nan")])
    def test_confidence_outside_its_range(self, confidence: float) -> None:
        with pytest.raises(InputError, match="between 0 and 1"):
            unary_from_labels(np.zeros((2, 2), int), 3, confidence=confidence)


GOOD = torch.full((2, 4, 5), 0.5)
IMAGE = np.zeros((4, 5, 3), np.uint8)
WRONG: dict[str, tuple[Any, Any, dict[str, Any], str]] = {
    "float image": (IMAGE.astype(np.float32), GOOD, {}, "expected uint8"),
    "grey image": (IMAGE[..., 0], GOOD, {}, "expected uint8"),
    "channels first": (IMAGE.transpose(2, 0, 1), GOOD, {}, "expected uint8"),
    "empty image": (IMAGE[:0], GOOD[:, :0], {}, "expected uint8"),
    "other size": (IMAGE, GOOD[:, :3], {}, r"expected \(labels, 4, 5\)"),
    "no labels": (IMAGE, GOOD[:0], {}, r"expected \(labels, 4, 5\)"),
    "integers": (IMAGE, GOOD.long(), {}, "finite floating-point"),
    "not a number": (IMAGE, GOOD * float("nan"), {}, "finite floating-point"),
    "no deviation": (IMAGE, GOOD, {"gaussian": (0, 3)}, "gaussian kernel are"),
    "negative deviation": (IMAGE, GOOD, {"bilateral": (50, -5, 10)}, "bilateral kernel are"),
    "tiny deviation": (IMAGE, GOOD, {"gaussian": (1e-9, 3)}, "larger deviations"),
    "negative iterations": (IMAGE, GOOD, {"iterations": -1}, "0 or more"),
}


@pytest.mark.parametrize(("image", "probabilities", "settings", "message"), WRONG.values(), ids=WRONG.keys())
def test_wrong_input(image: Any, probabilities: Tensor, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        dense_crf(image, probabilities, **settings)


def test_an_error_calls_things_by_their_name() -> None:
    with pytest.raises(InputError, match="scores are not all finite"):
        checked_pixels(IMAGE, [GOOD, GOOD / 0 * 0], name="scores")
