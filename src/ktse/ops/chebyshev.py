"""High powers of a matrix applied to vectors, in few products: x M^n by a sum of Chebyshev polynomials."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor


def power_coefficients(exponent: int, tolerance: float) -> tuple[float, ...]:
    """Expand a power in Chebyshev polynomials, as far as a tolerance asks for.

    t^n = 2^(1-n) sum_k C(n, (n-k)/2) T_k(t)    over k = n, n-2, n-4, ...; the term of k = 0 counts half

    With t = cos(a), this is the binomial expansion of ((e^ia + e^-ia) / 2)^n. All coefficients are positive and sum to
    1: they are the chances that n steps to the left or right end k places off. Hence those beyond k sum to less than
    2 exp(-k^2 / 2n), and degrees up to about sqrt(2 n ln(2 / tolerance)) suffice, never more than n.

    Args:
        exponent: n, 0 or more.
        tolerance: What the left out coefficients may sum to; not less than about 1e-14.

    Returns:
        The coefficients of T_k for k = p, p+2, p+4, ... with p = n mod 2: the others are 0. As |T_k| <= 1 on [-1, 1],
        the sum differs from t^n by at most the tolerance there.

    Example:
        >>> power_coefficients(4, tolerance=0)  # 8 t^4 = 3 + 4 T_2(t) + T_4(t)
        (0.375, 0.5, 0.125)
        >>> len(power_coefficients(256, tolerance=1e-6)), len(power_coefficients(256, tolerance=1e-12))
        (40, 57)
    """
    lowest = exponent % 2
    middle = math.comb(exponent, exponent // 2) / 2**exponent
    coefficients = [2 * middle if lowest else middle]
    for k in range(lowest, exponent, 2):
        if 1 - math.fsum(coefficients) <= tolerance:
            break
        # C(n, (n-k)/2 - 1) from C(n, (n-k)/2); the coefficient of k = 0 is half of its kind.
        ratio = (exponent - k) / (exponent + k + 2)
        coefficients.append(coefficients[-1] * ratio * (1 if k else 2))
    return tuple(coefficients)


def apply_power(multiply: Callable[[Tensor], Tensor], vectors: Tensor, exponent: int, *, tolerance: float) -> Tensor:
    """Apply the n-th power of a linear map whose eigenvalues are real and lie in [-1, 1].

    The polynomials follow from T_{k+1} = 2 M T_k - T_{k-1}, one product each. On [-1, 1] they stay within [-1, 1], so
    that rounding errors do not grow.

    Args:
        multiply: The map; returns something new of the shape it gets.
        vectors: What it is applied to, of any shape.
        exponent: n, 0 or more.
        tolerance: As for `power_coefficients`: for a symmetric map, the error is at most this share of the length
            (2-norm) of the vectors, apart from rounding.

    Returns:
        The map applied n times, of the shape of `vectors`.

    Example:
        >>> import torch
        >>> apply_power(lambda vectors: 0.5 * vectors, torch.tensor([1.0, 8.0]), 3, tolerance=0)
        tensor([0.1250, 1.0000])
    """
    coefficients = power_coefficients(exponent, tolerance)
    lowest = exponent % 2
    previous, current = vectors, vectors if lowest == 0 else multiply(vectors)
    result = coefficients[0] * current
    for k in range(lowest + 1, lowest + 2 * len(coefficients) - 1):
        following = multiply(current)
        if k > 1:  # T_1 is the map itself
            following *= 2
            following -= previous
        previous, current = current, following
        if k % 2 == lowest:
            result += coefficients[k // 2] * current
    return result
