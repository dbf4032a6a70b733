from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.polynomial import chebyshev
from torch import Tensor

from ktse.ops.chebyshev import apply_power, power_coefficients

EXPONENTS = (0, 1, 2, 3, 7, 8, 32)


def full_coefficients(exponent: int, tolerance: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """With the zeros that are left out."""
    lowest = exponent % 2
    kept = power_coefficients(exponent, tolerance)
    full = np.zeros(lowest + 2 * len(kept) - 1)
    full[lowest::2] = kept
    return full


@pytest.mark.parametrize("exponent", EXPONENTS)
def test_coefficients_are_those_of_numpy(exponent: int) -> None:
    expected = chebyshev.poly2cheb([0.0] * exponent + [1.0])
    np.testing.assert_allclose(full_coefficients(exponent, 0), expected, rtol=1e-12)


@pytest.mark.parametrize("exponent", [255, 256, 4096])
@pytest.mark.parametrize("tolerance", [1e-3, 1e-6, 1e-12])
def test_what_is_left_out_stays_below_the_tolerance_on_the_whole_interval(exponent: int, tolerance: float) -> None:
    points = np.cos(np.linspace(0, np.pi, 1001))
    coefficients = full_coefficients(exponent, tolerance)
    error = np.abs(chebyshev.chebval(points, coefficients) - points**exponent).max()
    assert error <= tolerance + 1e-14
    assert len(coefficients) <= np.sqrt(2 * exponent * np.log(2 / tolerance)) + 3


def test_no_coefficient_too_many() -> None:
    kept = power_coefficients(256, 1e-6)
    assert 1 - sum(kept) <= 1e-6 < 1 - sum(kept[:-1])


def symmetric(eigenvalues: Tensor) -> Tensor:
    count = len(eigenvalues)
    noise = torch.randn(count, count, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    basis = torch.linalg.qr(noise).Q
    return basis @ torch.diag(eigenvalues) @ basis.T


@pytest.mark.parametrize("exponent", [*EXPONENTS, 255, 256])
def test_power_of_a_symmetric_matrix(exponent: int) -> None:
    matrix = symmetric(torch.linspace(-1, 1, 12, dtype=torch.float64))
    vectors = torch.randn(3, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    expected = vectors @ torch.linalg.matrix_power(matrix, exponent)
    result = apply_power(lambda given: given @ matrix, vectors, exponent, tolerance=1e-12)
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("exponent", [*EXPONENTS, 255, 256])
def test_power_of_numbers(exponent: int) -> None:
    numbers = torch.linspace(-1, 1, 21, dtype=torch.float64)
    result = apply_power(lambda given: given * numbers, torch.ones_like(numbers), exponent, tolerance=1e-13)
    torch.testing.assert_close(result, numbers**exponent, rtol=0, atol=2e-13)


@pytest.mark.parametrize(("exponent", "products"), [(0, 0), (1, 1), (2, 2), (9, 9), (256, 112)])
def test_number_of_products(exponent: int, products: int) -> None:
    calls = []

    def multiply(vectors: Tensor) -> Tensor:
        calls.append(1)
        return 0.9 * vectors

    apply_power(multiply, torch.ones(1), exponent, tolerance=1e-12)
    assert len(calls) == products


@pytest.mark.parametrize("exponent", [0, 1, 2, 7])
def test_the_vectors_given_stay_as_they_are(exponent: int) -> None:
    vectors = torch.ones(3)
    apply_power(lambda given: 0.5 * given, vectors, exponent, tolerance=0).add_(1)
    assert (vectors == 1).all()
