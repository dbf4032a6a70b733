"""With which mean and deviation of colours the weights of a trunk were trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isclose
from typing import Any

OWN_TRUNKS = ("resnet38d", "demo")
"""Trunks that timm does not know; they were trained with ImageNet's mean and deviation."""

DIGITS = 1e-3
"""How far two numbers may lie apart and still be the same, differently rounded."""


def other_normalizations(trunks: Mapping[str, str], *, mean: Sequence[float], std: Sequence[float]) -> list[str]:
    """Say which trunks were trained on images normalised otherwise.

    A trunk whose batch normalisation is frozen cannot make up for colours that it never saw, and nothing but a poorer
    score shows it. Only what timm records is known: nothing is said of other trunks.

    Args:
        trunks: Section of a recipe to the name of its trunk, for trunks that start from weights.
        mean: Mean of red, green, blue that is subtracted.
        std: Deviation that is divided by.

    Returns:
        A sentence for each trunk of which something else is known.

    Example:
        >>> imagenet = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
        >>> other_normalizations({"segmentation": "resnet101.tv2_in1k", "localization": "resnet38d"}, **imagenet)
        []
        >>> print(*other_normalizations({"localization": "tf_efficientnet_lite0"}, **imagenet))
        localization.trunk 'tf_efficientnet_lite0' was trained with mean 0.5,0.5,0.5 and deviation 0.5,0.5,0.5, \
but images are normalised with 0.485,0.456,0.406 and 0.229,0.224,0.225.
    """
    sentences = []
    for section, trunk in trunks.items():
        trained = _record_of_timm(trunk)
        if trained is None or (_same(trained.mean, mean) and _same(trained.std, std)):
            continue
        sentences.append(
            f"{section}.trunk '{trunk}' was trained with mean {_text(trained.mean)} and deviation "
            f"{_text(trained.std)}, but images are normalised with {_text(mean)} and {_text(std)}."
        )
    return sentences


def _record_of_timm(trunk: str) -> Any:
    """Return what timm knows of a network's weights, None of a network that is not timm's."""
    if trunk in OWN_TRUNKS:  # spares the loading of timm, which takes seconds
        return None
    from timm.models import get_pretrained_cfg

    return get_pretrained_cfg(trunk)


def _same(one: Sequence[float], other: Sequence[float]) -> bool:
    return all(isclose(a, b, abs_tol=DIGITS) for a, b in zip(one, other, strict=True))


def _text(numbers: Sequence[float]) -> str:
    return ",".join(f"{number:g}" for number in numbers)
