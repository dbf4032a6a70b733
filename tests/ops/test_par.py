from __future__ import annotations

import sys

import pytest
import torch
from torch import Tensor

from ktse.engine.memory import memory_in_use, watched_memory
from ktse.ops import par
from ktse.ops.par import neighbour_weights, pixel_adaptive_refinement
from ktse.ops.resize import resize_to
from reference import par_oracle

DILATIONS = (1, 2, 4)


@pytest.fixture
def images() -> Tensor:
    return torch.rand(2, 3, 6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(6))


@pytest.fixture
def strips(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every image be refined in strips that are as low as they may be."""
    monkeypatch.setattr(par, "PIXELS_AT_ONCE", 0)
    monkeypatch.setattr(par, "PIXELS_OF_STRIP", 1)


@pytest.fixture
def masks() -> Tensor:
    return torch.rand(2, 2, 6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(7))


@pytest.mark.parametrize("dilations", [(1,), DILATIONS, (3, 1)], ids=["one", "three", "descending"])
def test_weights_of_each_neighbour(images: Tensor, dilations: tuple[int, ...]) -> None:
    weights = neighbour_weights(images, dilations=dilations)
    for image, weight in zip(images, weights, strict=True):
        torch.testing.assert_close(weight, torch.from_numpy(par_oracle.weights(image.numpy(), dilations)))


def test_weights_sum_to_one_and_a_hundredth(images: Tensor) -> None:
    total = neighbour_weights(images).sum(dim=1)
    torch.testing.assert_close(total, torch.full_like(total, 1.01))


def test_weights_by_hand() -> None:
    """Equal colours share 1; the 0.01 of the position goes to the four straight neighbours.

    The distances 1 and sqrt 2 deviate by 0.2214, so the exponents of position are -227 and -453.
    """
    weights = neighbour_weights(torch.full((1, 3, 3, 3), 0.4), dilations=(1,))[0, :, 1, 1]
    straight, diagonal = 1 / 8 + 0.01 / 4, 1 / 8
    expected = [diagonal, straight, diagonal, straight, straight, diagonal, straight, diagonal]
    assert weights.tolist() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("iterations", [0, 1, 3])
def test_refinement_pixel_by_pixel(images: Tensor, masks: Tensor, iterations: int) -> None:
    refined = pixel_adaptive_refinement(images, masks, dilations=DILATIONS, iterations=iterations)
    for image, mask, result in zip(images, masks, refined, strict=True):
        expected = par_oracle.refine(image.numpy(), mask.numpy(), DILATIONS, iterations)
        torch.testing.assert_close(result, torch.from_numpy(expected))


def test_is_linear_in_the_mask(images: Tensor, masks: Tensor) -> None:
    other = masks.square().roll(1, dims=-1)
    whole = pixel_adaptive_refinement(images, 2 * masks - 3 * other)
    parts = 2 * pixel_adaptive_refinement(images, masks) - 3 * pixel_adaptive_refinement(images, other)
    torch.testing.assert_close(whole, parts)


def test_each_channel_is_refined_by_itself(images: Tensor, masks: Tensor) -> None:
    refined = pixel_adaptive_refinement(images, masks)
    torch.testing.assert_close(refined[:, 1:], pixel_adaptive_refinement(images, masks[:, 1:]))


def test_each_image_is_refined_by_itself(images: Tensor, masks: Tensor) -> None:
    refined = pixel_adaptive_refinement(images, masks)
    torch.testing.assert_close(refined[1:], pixel_adaptive_refinement(images[1:], masks[1:]))


@pytest.mark.parametrize("iterations", [1, 10])
def test_constant_mask_stays_constant_and_grows(images: Tensor, iterations: int) -> None:
    masks = torch.full((2, 1, 6, 5), 0.7, dtype=torch.float64)
    refined = pixel_adaptive_refinement(images, masks, iterations=iterations)
    torch.testing.assert_close(refined, masks * 1.01**iterations)


@pytest.mark.parametrize("axis", [-1, -2], ids=["left_right", "up_down"])
def test_mirrored_input_gives_the_mirrored_output(images: Tensor, masks: Tensor, axis: int) -> None:
    refined = pixel_adaptive_refinement(images, masks)
    torch.testing.assert_close(pixel_adaptive_refinement(images.flip(axis), masks.flip(axis)), refined.flip(axis))


def test_order_of_colours_does_not_matter(images: Tensor, masks: Tensor) -> None:
    torch.testing.assert_close(
        pixel_adaptive_refinement(images.flip(1), masks), pixel_adaptive_refinement(images, masks)
    )


def test_mask_of_another_size_is_resized_with_aligned_corners(images: Tensor, masks: Tensor) -> None:
    small = masks[..., :3, :4]
    aligned = resize_to(small, (6, 5), align_corners=True)
    refined = pixel_adaptive_refinement(images, small)
    torch.testing.assert_close(refined, pixel_adaptive_refinement(images, aligned))
    assert not refined.allclose(pixel_adaptive_refinement(images, resize_to(small, (6, 5))))


def test_mask_stops_at_the_edge_of_the_image() -> None:
    images = torch.zeros(1, 3, 6, 8)
    images[..., 4:] = 1
    masks = torch.zeros(1, 1, 6, 8)
    masks[..., :2] = 1
    refined = pixel_adaptive_refinement(images, masks, dilations=(1, 2))
    assert refined[..., :4].min() > 0.5 and refined[..., 4:].max() < 0.05


@pytest.mark.parametrize(
    ("given", "returned"),
    [(torch.float16, torch.float32), (torch.float32, torch.float32), (torch.float64, torch.float64)],
    ids=["half", "single", "double"],
)
def test_precision(images: Tensor, masks: Tensor, given: torch.dtype, returned: torch.dtype) -> None:
    refined = pixel_adaptive_refinement(images.to(given), masks.to(given))
    assert refined.dtype == returned
    expected = pixel_adaptive_refinement(images.to(given).double(), masks.to(given).double())
    torch.testing.assert_close(refined.double(), expected, rtol=1e-4, atol=1e-5)


def test_input_is_left_alone(images: Tensor, masks: Tensor) -> None:
    before = images.clone(), masks.clone()
    pixel_adaptive_refinement(images, masks)
    assert torch.equal(images, before[0]) and torch.equal(masks, before[1])


def test_gradient_reaches_the_mask(masks: Tensor, images: Tensor) -> None:
    def refined(values: Tensor) -> Tensor:
        return pixel_adaptive_refinement(images[:1], values, dilations=(1, 2), iterations=2)

    assert torch.autograd.gradcheck(refined, (masks[:1, :1].clone().requires_grad_(),))


@pytest.mark.usefixtures("strips")
@pytest.mark.parametrize("iterations", [0, 1, 3])
@pytest.mark.parametrize("size", [(9, 4), (4, 9), (8, 8), (3, 2), (1, 11)], ids=str)
def test_strips_give_what_the_whole_image_gives(
    monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], iterations: int
) -> None:
    """Strips of four rows or columns: 9 leaves a last one that is lower than the margin."""
    noise = torch.rand(2, 5, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(8))
    images, masks = noise[:, :3], noise[:, 3:]
    refined = pixel_adaptive_refinement(images, masks, dilations=DILATIONS, iterations=iterations)
    for image, mask, result in zip(images, masks, refined, strict=True):
        expected = par_oracle.refine(image.numpy(), mask.numpy(), DILATIONS, iterations)
        torch.testing.assert_close(result, torch.from_numpy(expected))
    monkeypatch.setattr(par, "PIXELS_AT_ONCE", masks.numel())
    whole = pixel_adaptive_refinement(images, masks, dilations=DILATIONS, iterations=iterations)
    torch.testing.assert_close(refined, whole)


@pytest.mark.usefixtures("strips")
def test_gradient_reaches_the_mask_through_strips(masks: Tensor, images: Tensor) -> None:
    def refined(values: Tensor) -> Tensor:
        return pixel_adaptive_refinement(images[:1], values, dilations=(1, 2), iterations=2)

    assert torch.autograd.gradcheck(refined, (masks[:1, :1].clone().requires_grad_(),))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what a process has now")
@pytest.mark.parametrize("size", [(500, 2000), (2000, 500)], ids=["wide", "high"])
def test_memory_does_not_hold_the_weights_of_a_large_image(size: tuple[int, int]) -> None:
    """48 weights of each of a million pixels are 192 MB, and making them took three times as much."""
    images, masks = torch.zeros(1, 3, *size), torch.zeros(1, 1, *size)
    cpu = torch.device("cpu")
    with watched_memory(cpu) as peak:
        before = memory_in_use(cpu)
        pixel_adaptive_refinement(images, masks, iterations=1)
        most = peak()
    assert before is not None
    assert most is not None
    assert most - before < 300 * 10**6
