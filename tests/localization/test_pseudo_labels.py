from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ktse.config import DataSettings, LocalizationSettings
from ktse.errors import InputError
from ktse.localization.pseudo_labels import is_padding, pseudo_labels
from ktse.ops.par import pixel_adaptive_refinement
from reference.method_oracle import pseudo_label

DATA = DataSettings()
QUICK = {"par_iterations": 2, "par_dilations": (1, 2)}


def settings_with(**changes: Any) -> LocalizationSettings:
    return LocalizationSettings().model_copy(update={**QUICK, **changes})


def label(images: Tensor, cam: Tensor, tags: Tensor, settings: LocalizationSettings) -> Tensor:
    return pseudo_labels(images, cam, tags, settings, mean=DATA.mean, std=DATA.std)


def values(labels: Tensor) -> set[int]:
    return set(labels.flatten().tolist())


def random_case(seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Four images of 10 x 14 with none, one, three and two of four classes."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(4, 3, 10, 14, generator=generator)
    cam = 2 * torch.randn(4, 4, 4, 5, generator=generator)
    return images, cam, torch.tensor([[0.0, 0, 0, 0], [0, 0, 1, 0], [1, 1, 0, 1], [0, 1, 1, 0]])


@pytest.mark.parametrize("divisor", [1, 2])
@pytest.mark.parametrize("normalization", ["signed_max", "positive_max", "relu_max"])
@pytest.mark.parametrize("evidence", ["scores", "labels"])
def test_same_as_the_slow_loop(evidence: str, normalization: str, divisor: int) -> None:
    images, cam, tags = random_case(5)
    images[1, :, :, 9:] = 0
    cam[2, 1] = -cam[2, 1].abs() - 0.1  # negative everywhere
    settings = settings_with(
        pseudo_label_input=evidence,
        pseudo_label_normalization=normalization,
        par_size_divisor=divisor,
        count_padding=False,
    )
    expected = [
        pseudo_label(image, one, own, settings, DATA.mean, DATA.std)
        for image, one, own in zip(images.double().numpy(), cam.double().numpy(), tags.numpy(), strict=True)
    ]
    labels = label(images, cam, tags, settings)
    assert labels.dtype == torch.int64
    np.testing.assert_array_equal(labels.numpy(), np.array(expected))
    assert len(values(labels[3])) > 2, "the case has something to tell apart"


@pytest.mark.parametrize("evidence", ["scores", "labels"])
@pytest.mark.parametrize("seed", range(3))
def test_absent_classes_are_never_labelled(seed: int, evidence: str) -> None:
    images, cam, tags = random_case(seed)
    cam[1, 0] = 50  # the strongest map by far, of a class that the image has not
    labels = label(images, cam, tags, settings_with(pseudo_label_input=evidence))
    assert values(labels[0]) == {0}, "an image without tags is background"
    assert values(labels[1]) <= {0, 3, 255}
    assert values(labels[2]) <= {0, 1, 2, 4, 255}


@pytest.mark.parametrize("evidence", ["scores", "labels"])
def test_an_image_is_labelled_the_same_in_any_company(evidence: str) -> None:
    images, cam, tags = random_case(4)
    settings = settings_with(pseudo_label_input=evidence)
    together = label(images, cam, tags, settings)
    for i in range(4):
        assert torch.equal(label(images[i : i + 1], cam[i : i + 1], tags[i : i + 1], settings)[0], together[i])


def test_classes_keep_their_numbers() -> None:
    """Two halves of different colour, each filled by one of two present classes out of five."""
    images = torch.zeros(1, 3, 16, 16)
    images[..., 8:] = 1
    cam = torch.full((1, 5, 4, 4), -1.0)
    cam[:, 3, :, :2] = 2
    cam[:, 1, :, 2:] = 2
    labels = label(images, cam, torch.tensor([[0.0, 1, 0, 1, 0]]), settings_with())
    assert values(labels[..., :7]) == {4}
    assert values(labels[..., 9:]) == {2}


@pytest.mark.parametrize(
    ("height", "expected"), [(0.9, 1), (0.22, 255), (0.05, 0)], ids=["foreground", "neither", "background"]
)
@pytest.mark.parametrize("evidence", ["scores", "labels"])
def test_thresholds(evidence: str, height: float, expected: int) -> None:
    """A map that is flat but for one cell: PAR of one step does not carry that cell far."""
    cam = torch.full((1, 1, 16, 16), height)
    cam[..., 0, 0] = 1
    settings = settings_with(pseudo_label_input=evidence, par_iterations=1, par_dilations=(1,), par_size_divisor=1)
    labels = label(torch.zeros(1, 3, 16, 16), cam, torch.ones(1, 1), settings)
    assert values(labels[:, 4:, 4:]) == {expected}


@pytest.mark.parametrize("count_padding", [True, False])
def test_padding(count_padding: bool) -> None:
    images, cam, tags = random_case(2)
    images[:, :, 7:] = 0
    images[0, 1, 9, 9] = 0.5  # one channel of one pixel is not 0: this is image
    labels = label(images, cam, tags, settings_with(count_padding=count_padding))
    with_padding = label(images, cam, tags, settings_with())
    expected = with_padding if count_padding else with_padding.masked_fill(is_padding(images)[:, 0], 255)
    assert torch.equal(labels, expected)
    assert (labels[0, 9, 9] == with_padding[0, 9, 9]).item()
    assert (labels[0, 7:] == 255).sum().item() == (0 if count_padding else 3 * 14 - 1)


def test_labels_keep_no_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    """The published code runs PAR with autograd on, for memory and no use (REFERENCE 7.1 no. 6)."""
    seen = []

    def watched(images: Tensor, masks: Tensor, **options: Any) -> Tensor:
        refined = pixel_adaptive_refinement(images, masks, **options)
        seen.append((masks.requires_grad, refined.requires_grad, torch.is_grad_enabled()))
        return refined

    monkeypatch.setattr("ktse.localization.pseudo_labels.pixel_adaptive_refinement", watched)
    images, cam, tags = random_case(0)
    labels = label(images, cam.requires_grad_(), tags, settings_with())
    assert seen == [(False, False, False)], "one affinity for both competitions, without gradient"
    assert not labels.requires_grad
    assert torch.is_grad_enabled()


def test_more_classes_than_labels() -> None:
    with pytest.raises(InputError, match=r"know 254 classes, the localizer has 255.*weights"):
        label(torch.zeros(1, 3, 4, 4), torch.zeros(1, 255, 2, 2), torch.zeros(1, 255), settings_with())
    assert label(torch.zeros(1, 3, 4, 4), torch.zeros(1, 254, 2, 2), torch.zeros(1, 254), settings_with()).max() == 0
