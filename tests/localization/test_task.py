from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ktse.config import LocalizationSettings
from ktse.config.localization import LossWeights
from ktse.errors import InputError
from ktse.localization.erasing import erase, join_pairs, paste_pairs
from ktse.localization.task import KtseTask, arrangement, cam_activation, ktse_losses, ramp_at, settings_at
from ktse.recipes.components import MGA_AND_RIVALS, ROWS, weights_with
from ktse.types import LocalizerOutput, PairBatch
from reference.losses_oracle import classification, global_alignment

B, P, K, SIDE = 3, 2, 2, 16
ANCHOR, PAIR, ERASED, JOINT = (B, SIDE), (P, SIDE), (B, SIDE), (P, 2 * SIDE)


class FakeLocalizer(nn.Module):
    """A linear map of image patches, halved in joint images; remembers what it was shown and what it said."""

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, K + 1, 4, stride=4, bias=False)
        nn.init.normal_(self.patches.weight, generator=torch.Generator().manual_seed(0))
        self.shown: list[Tensor] = []
        self.cams: list[Tensor] = []
        self.frozen: list[bool] = []
        self.dtype = dtype

    def forward(self, images: Tensor) -> LocalizerOutput:
        self.shown.append(images.detach())
        cam = self.patches(images).to(self.dtype) * (SIDE / images.shape[2])
        self.cams.append(cam)
        return LocalizerOutput(cam_with_background=cam, logits=cam[:, 1:].mean(dim=(2, 3)), gated=cam[:, 1:] ** 2)

    def freeze_normalization(self, frozen: bool) -> None:
        self.frozen.append(frozen)


def batch(*, pairs: int = P, region: Tensor | None = None) -> PairBatch:
    generator = torch.Generator().manual_seed(1)
    return PairBatch(
        images=torch.randn(B, 3, SIDE, SIDE, generator=generator),
        tags=torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]),
        paired_images=torch.randn(pairs, 3, SIDE, SIDE, generator=generator),
        paired_tags=torch.tensor([[1.0, 1.0], [0.0, 1.0]])[:pairs],
        paste_region=region,
    )


def settings_with(**changes: Any) -> LocalizationSettings:
    quick = {"warm_up_epochs": 2, "epochs": 12, "par_iterations": 1, "par_dilations": (1,)}
    return LocalizationSettings().model_copy(update={**quick, **changes})


def task_with(**changes: Any) -> tuple[KtseTask, FakeLocalizer]:
    localizer = FakeLocalizer()
    return KtseTask(localizer, settings_with(**changes)), localizer


def shown_sizes(localizer: FakeLocalizer) -> list[tuple[int, int]]:
    return [(len(images), images.shape[2]) for images in localizer.shown]


@pytest.mark.parametrize(
    ("row", "expected"),
    {
        "base": [ANCHOR],
        "sie": [ANCHOR, PAIR, JOINT],
        "ssr": [ANCHOR],
        "mga": [ANCHOR, ERASED],
        "sie-ssr": [ANCHOR, PAIR, JOINT],
        "all": [ANCHOR, ERASED, PAIR, JOINT],
    }.items(),
)
def test_forward_passes_of_a_row(row: str, expected: list[tuple[int, int]]) -> None:
    """44 image-equivalents where the published code spends 56 (REFERENCE 7.3): a term of weight 0 costs nothing."""
    weights = LossWeights(**weights_with(ROWS[row]))
    task, localizer = task_with(weights=weights)
    losses = task(batch(), epoch=2)
    assert shown_sizes(localizer) == expected
    assert set(losses.terms) == {name for name, weight in weights.model_dump().items() if weight > 0}


@pytest.mark.parametrize(
    ("row", "terms"),
    {
        "base": set(),
        "rigid-classification": {"erased_classification"},
        "soft-gpp-feature": {"global_alignment"},
        "ga": {"global_alignment"},
        "ga-la": {"global_alignment", "local_alignment"},
    }.items(),
)
def test_rows_of_the_rivals(row: str, terms: set[str]) -> None:
    """Table 7: the anchor, and its erased copy where something is asked of it; a rival starts after the warm-up too."""
    changes = {**MGA_AND_RIVALS[row], "weights": LossWeights(**MGA_AND_RIVALS[row]["weights"])}
    task, localizer = task_with(**changes)
    losses = task(batch(), epoch=2)
    assert shown_sizes(localizer) == [ANCHOR, *([ERASED] if terms else [])]
    assert set(losses.terms) == {"classification", *terms}
    assert set(task(batch(), epoch=1).terms) == {"classification"}


def test_rigid_classification_asks_the_erased_image_for_the_tags() -> None:
    weights = LossWeights(**weights_with(()) | {"erased_classification": 2.0})
    task, localizer = task_with(weights=weights)
    losses = task(batch(), epoch=2)
    anchor, erased = (cam[:, 1:].mean(dim=(2, 3)).detach().double().numpy() for cam in localizer.cams)
    tags = batch().tags.numpy()
    assert losses.terms["classification"].item() == pytest.approx(classification(anchor, tags), rel=1e-5)
    assert losses.terms["erased_classification"].item() == pytest.approx(classification(erased, tags), rel=1e-5)
    expected = classification(anchor, tags) + 2 * classification(erased, tags)
    assert losses.total.item() == pytest.approx(expected, rel=1e-5)
    through_anchor, through_erased = torch.autograd.grad(
        losses.terms["erased_classification"], localizer.cams, allow_unused=True
    )
    assert through_anchor is None
    pull = batch().tags - torch.sigmoid(localizer.cams[1][:, 1:].mean(dim=(2, 3)))
    assert torch.equal(through_erased[:, 1:, 0, 0].sign(), -pull.sign()), "tagged classes go up, the others down"


def test_soft_gpp_feature_is_global_alignment_of_the_gated_maps() -> None:
    row = MGA_AND_RIVALS["soft-gpp-feature"]
    task, localizer = task_with(**{**row, "weights": LossWeights(**row["weights"])})
    losses = task(batch(), epoch=2)
    anchor, erased = (cam[:, 1:].detach().double().numpy() ** 2 for cam in localizer.cams)
    expected = global_alignment(anchor, erased, batch().tags.numpy(), norm="l1", over="all")
    assert losses.terms["global_alignment"].item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("epoch", "forwards"), [(0, 1), (1.99, 1), (2, 4), (11, 4)])
def test_warm_up_sees_the_anchors_once(epoch: float, forwards: int) -> None:
    task, localizer = task_with()
    losses = task(batch(), epoch=epoch)
    assert len(localizer.shown) == forwards
    assert shown_sizes(localizer)[0] == ANCHOR
    if forwards == 1:
        assert set(losses.terms) == {"classification"}
        assert torch.equal(losses.total, losses.terms["classification"])
        assert losses.pseudo_labels is None


def test_batch_without_pairs() -> None:
    task, localizer = task_with()
    losses = task(batch(pairs=0), epoch=5)
    assert shown_sizes(localizer) == [ANCHOR, ERASED]
    assert losses.total.isfinite()
    task, localizer = task_with(join="cutmix")
    task(batch(pairs=0), epoch=5)
    assert shown_sizes(localizer) == [ANCHOR, ERASED]


def test_what_the_branches_are_shown() -> None:
    task, localizer = task_with(erase_threshold=0.5)
    example = batch()
    task(example, epoch=2)
    anchor, erased, pair, joint = localizer.shown
    cam = localizer(example.images).cam
    assert torch.equal(anchor, example.images)
    assert torch.equal(pair, example.paired_images)
    assert torch.equal(joint, join_pairs(example.images[:P], example.paired_images))
    assert torch.equal(erased, erase(example.images, cam, example.tags, threshold=0.5))
    assert not torch.equal(erased, erase(example.images, cam, example.tags, threshold=0.6))


def test_total_is_the_weighted_sum() -> None:
    weights = LossWeights(classification=2, knowledge_transfer=0.5, background=0.25, global_alignment=3)
    losses = task_with(weights=weights)[0](batch(), epoch=2)
    expected = sum(weight * losses.terms[name].item() for name, weight in weights.model_dump().items() if weight)
    assert losses.total.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("epoch", "expected"), [(0, 0), (2, 0), (3, 0.25), (4.5, 0.625), (6, 1), (9, 1)], ids=lambda value: str(value)
)
def test_ramp_over_the_epochs(epoch: float, expected: float) -> None:
    """Ten epochs after warm-up, of which four are the ramp."""
    settings = settings_with(loss_ramp=0.4)
    assert ramp_at(settings, epoch) == pytest.approx(expected)
    assert ramp_at(settings_with(loss_ramp=0.0), epoch) == 1, "without a ramp the losses have their weights at once"


def test_ramp_scales_all_but_the_classification() -> None:
    full = task_with()[0](batch(), epoch=3)
    ramped = task_with(loss_ramp=0.4)[0](batch(), epoch=3)
    classification = full.terms["classification"].item()
    others = full.total.item() - classification
    assert ramped.total.item() == pytest.approx(classification + 0.25 * others, rel=1e-5)
    assert {name: term.item() for name, term in ramped.terms.items()} == {
        name: term.item() for name, term in full.terms.items()
    }, "the terms themselves are not scaled"


def test_settings_of_warm_up_keep_everything_but_the_weights() -> None:
    settings = settings_with(margin=0.5, weights=LossWeights(classification=3))
    warm_up = settings_at(settings, 0)
    assert warm_up.weights.model_dump() == {**dict.fromkeys(LossWeights.model_fields, 0.0), "classification": 3}
    assert warm_up.model_copy(update={"weights": settings.weights}) == settings
    assert settings_at(settings, 2) is settings


def joint_output(images: int, side: int) -> LocalizerOutput:
    return LocalizerOutput(cam_with_background=torch.rand(images, K + 1, side, 4), logits=torch.zeros(images, K))


@pytest.mark.parametrize(
    ("missing", "weights"),
    [
        ("pair", {"knowledge_transfer": 1.0}),
        ("joint", {"joint_background": 1.0}),
        ("erased", {"local_alignment": 1.0}),
    ],
)
def test_missing_branch(missing: str, weights: dict[str, float]) -> None:
    example = batch()
    branches: dict[str, LocalizerOutput | None] = {
        "pair": joint_output(P, 4),
        "erased": joint_output(B, 4),
        "joint": joint_output(P, 8),
    }
    branches[missing] = None
    off = dict.fromkeys(LossWeights.model_fields, 0.0)

    def losses(weights: dict[str, float]) -> Any:
        return ktse_losses(
            joint_output(B, 4),
            branches["pair"],
            branches["erased"],
            branches["joint"],
            images=example.images,
            paired_images=example.paired_images,
            tags=example.tags,
            paired_tags=example.paired_tags,
            settings=settings_with(weights=LossWeights(**{**off, **weights})),
        )

    with pytest.raises(InputError, match=f"{next(iter(weights))}.* need the branch {missing}, got None"):
        losses(weights)
    assert losses({"classification": 1.0}).total.isfinite()


@pytest.mark.parametrize("detach", [True, False])
def test_detach_anchor_keeps_the_single_images_out_of_transfer(detach: bool) -> None:
    task, localizer = task_with(detach_anchor=detach)
    transfer = task(batch(), epoch=2).terms["knowledge_transfer"]
    assert transfer.item() > 0
    anchor, erased, pair, joint = torch.autograd.grad(transfer, localizer.cams, allow_unused=True)
    assert (anchor is None) == (pair is None) == detach
    assert joint.any()
    assert erased is None


def test_pasted_pairs() -> None:
    region = torch.zeros(P, 1, SIDE, SIDE, dtype=torch.bool)
    region[..., 4:12, 0:8] = True
    task, localizer = task_with(join="cutmix", margin=0.0)
    example = batch(region=region)
    losses = task(example, epoch=2)
    assert shown_sizes(localizer) == [ANCHOR, ERASED, PAIR, PAIR]
    joint = localizer.shown[3]
    assert torch.equal(joint[..., 4:12, 0:8], example.paired_images[..., 4:12, 0:8])
    assert torch.equal(joint[..., 12:, :], example.images[:P, :, 12:])
    assert torch.equal(joint[..., 8:], example.images[:P, ..., 8:])
    # The region ends where patches end, so that the joint CAM is the pasted CAM: nothing to transfer.
    assert losses.terms["knowledge_transfer"].item() == pytest.approx(0, abs=1e-6)
    cams = [localizer(images).cam for images in (example.images[:P], example.paired_images, joint)]
    torch.testing.assert_close(paste_pairs(cams[0], cams[1], region), cams[2])


def test_pasting_without_a_region() -> None:
    with pytest.raises(InputError, match=r"paste_region"):
        arrangement(batch(), settings_with(join="cutmix"))
    assert arrangement(batch(), settings_with()) is join_pairs


def test_half_precision_output_is_taken_to_float32() -> None:
    localizer = FakeLocalizer(torch.bfloat16)
    losses = KtseTask(localizer, settings_with())(batch(), epoch=2)
    assert {term.dtype for term in (*losses.terms.values(), losses.total)} == {torch.float32}


@pytest.mark.parametrize(
    ("layers", "expected"), [("frozen", []), ("trained", []), ("frozen_after_warm_up", [False, False, True])]
)
def test_normalization_layers_follow_the_epoch(layers: str, expected: list[bool]) -> None:
    task, localizer = task_with(normalization_layers=layers)
    for epoch in range(3):
        task.start_epoch(epoch)
    assert localizer.frozen == expected


def test_mean_and_deviation_reach_the_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, Any]] = []

    def labels(images: Tensor, *_: Any, **options: Any) -> Tensor:
        seen.append(options)
        return torch.zeros(len(images), SIDE, SIDE, dtype=torch.long)

    monkeypatch.setattr("ktse.localization.task.pseudo_labels", labels)
    mean, std = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)
    losses = KtseTask(FakeLocalizer(), settings_with(), mean=mean, std=std)(batch(), epoch=2)
    assert seen == [{"mean": mean, "std": std}] * 2, "anchors and pairs, once each"
    assert losses.pseudo_labels is not None
    assert losses.pseudo_labels.shape == (B, SIDE, SIDE)


def test_cam_activation_is_a_mean_of_maxima_over_tagged_classes() -> None:
    generator = torch.Generator().manual_seed(2)
    cam = torch.randn(3, 4, 5, 6, generator=generator) - 2  # some maps are negative everywhere
    tags = torch.tensor([[1, 0, 0, 1], [0, 0, 0, 0], [1, 1, 1, 0]], dtype=torch.float32)
    maxima = [max(cam[b, k].max().item(), 0.0) for b in range(3) for k in range(4) if tags[b, k]]
    assert 0.0 in maxima
    assert cam_activation(cam, tags).item() == pytest.approx(sum(maxima) / 5)
    assert cam_activation(cam, torch.zeros(3, 4)).isnan()


@pytest.mark.parametrize("epoch", [0, 5], ids=["warm-up", "after it"])
def test_activation_of_the_anchors_is_watched_and_not_learned_from(epoch: int) -> None:
    task, localizer = task_with()
    example = batch()
    losses = task(example, epoch=epoch)
    assert set(losses.monitors) == {"cam_activation"}
    watched = losses.monitors["cam_activation"]
    assert watched == cam_activation(localizer.cams[0][:, 1:].detach(), example.tags)
    assert not watched.requires_grad
