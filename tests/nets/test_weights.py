from __future__ import annotations

import pytest

from ktse.nets import weights


@pytest.mark.parametrize(
    "name",
    [
        "read_mxnet_params",
        "read_checkpoint",
        "load_published_localizer",
        "load_published_irnet",
        "load_published_deeplab",
        "load_published_deeplab_pair",
        "check_weights",
        "pull",
    ],
)
def test_promised_loaders_are_here(name: str) -> None:
    assert name in weights.__all__
    assert callable(getattr(weights, name))


def test_everything_listed_exists() -> None:
    assert [name for name in weights.__all__ if not hasattr(weights, name)] == []
