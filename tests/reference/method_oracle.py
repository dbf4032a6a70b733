"""Labels and losses of a step, pixel by pixel in float64, read off REFERENCE 3.1 to 3.4."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ktse.config import LocalizationSettings
from reference.gpp_oracle import resized

Array = NDArray[np.float64]
Labels = NDArray[np.int64]

IGNORE = 255


@dataclass(frozen=True)
class Step:
    """What a step compares: (B, K+1, h, w) of each branch, (B, 3, H, W) images, (B, K) tags."""

    anchor: Array
    pair: Array
    erased: Array
    joint: Array
    images: Array
    paired_images: Array
    tags: Array
    paired_tags: Array


def resized_all(planes: Array, height: int, width: int) -> Array:
    return np.array([resized(plane, height, width) for plane in planes])


def normalized(plane: Array, how: str) -> Array:
    """One map, normalised in one of the ways of REFERENCE 3.4 #6."""
    positive = np.maximum(plane, 0)
    top, span = plane, positive.max()
    if how == "min_max":
        top, span = np.maximum(positive - positive.min() - 1e-5, 0), positive.max() - positive.min()
    elif how in {"max", "relu_max"}:
        top = positive
    elif how == "signed_max":
        span = plane.max()
    result: Array = top / (span + 1e-5)
    return result


def strongest(cam: Array, tags: Array, size: tuple[int, int], how: str) -> Array:
    """A = max_c N(up(ReLU(F)))^c y^c of one image."""
    best = np.zeros(size)
    for plane, present in zip(cam, tags, strict=True):
        if present:
            best = np.maximum(best, normalized(resized(np.maximum(plane, 0), *size), how))
    return best


def refined(colours: Array, masks: Array, dilations: Sequence[int], iterations: int) -> Array:
    """PAR (REFERENCE 3.3) of masks (C, h, w) on colours (3, h, w)."""
    height, width = colours.shape[1:]
    steps = [(d * y, d * x) for d in dilations for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)]
    distances = np.array([math.hypot(*step) for step in steps])
    proximity = np.exp(-((distances / (distances.std(ddof=1) + 1e-8) / 0.3) ** 2))
    for _ in range(iterations):
        before, masks = masks, np.zeros_like(masks)
        for i in range(height):
            for j in range(width):
                places = [(min(max(i + y, 0), height - 1), min(max(j + x, 0), width - 1)) for y, x in steps]
                around = np.array([colours[:, y, x] for y, x in places])
                scale = (around.std(axis=0, ddof=1) + 1e-8) * 0.3
                exponent = -(((around - colours[:, i, j]) / scale) ** 2).mean(axis=1)
                similarity = np.exp(exponent - exponent.max())
                weights = similarity / similarity.sum() + 0.01 * proximity / proximity.sum()
                masks[:, i, j] = sum(weight * before[:, y, x] for weight, (y, x) in zip(weights, places, strict=True))
    return masks


def pseudo_label(
    image: Array, cam: Array, tags: Array, settings: LocalizationSettings, mean: Sequence[float], std: Sequence[float]
) -> Labels:
    """Y of one image: (H, W)."""
    size = image.shape[1], image.shape[2]
    grid = size[0] // settings.par_size_divisor, size[1] // settings.par_size_divisor
    colours = image * np.array(std)[:, None, None] + np.array(mean)[:, None, None]
    colours = resized_all(np.floor(np.clip(colours * 255, 0, 255)) / 255, *grid)
    present = [k for k, tag in enumerate(tags) if tag]
    names = np.array([0, *(k + 1 for k in present)])
    scores = np.array([resized(normalized(cam[k], settings.pseudo_label_normalization), *size) for k in present])
    scores = scores.reshape(len(present), *size)

    def refine(evidence: Array) -> Array:
        return resized_all(refined(colours, evidence, settings.par_dilations, settings.par_iterations), *size)

    if settings.pseudo_label_input == "labels":
        labels = _refined_hard_labels(cam[present], scores, names, settings, refine)
    else:
        won = []
        for threshold in (settings.foreground_threshold, settings.background_threshold):
            small = resized_all(np.concatenate([np.full((1, *size), threshold), scores]), *grid)
            evidence = np.exp(small) / np.exp(small).sum(axis=0)
            won.append(names[refine(evidence).argmax(axis=0)])
        labels = np.where(won[0] != 0, won[0], np.where(won[1] == 0, 0, IGNORE))
    if not settings.count_padding:
        labels = np.where((image == 0).all(axis=0), IGNORE, labels)
    return labels


def _refined_hard_labels(
    cam: Array, scores: Array, names: Labels, settings: LocalizationSettings, refine: Callable[[Array], Array]
) -> Labels:
    """Eq. (4), then PAR."""
    size = scores.shape[1], scores.shape[2]
    raw = np.array([resized(plane, *size) for plane in cam]).reshape(scores.shape)
    evidence = np.zeros((len(names), *size))
    for i in range(size[0]):
        for j in range(size[1]):
            best = max(scores[:, i, j], default=0.0)
            if best >= settings.foreground_threshold:
                evidence[1 + int(raw[:, i, j].argmax()), i, j] = 1
            elif best <= settings.background_threshold:
                evidence[0, i, j] = 1
    grid = size[0] // settings.par_size_divisor, size[1] // settings.par_size_divisor
    after = refine(resized_all(evidence, *grid))
    return np.where(after.sum(axis=0) == 0, IGNORE, names[after.argmax(axis=0)])


def method_losses(
    step: Step, labels: Sequence[Labels], paired_labels: Sequence[Labels], settings: LocalizationSettings
) -> dict[str, float]:
    """Every loss but L_cls."""
    return {
        "knowledge_transfer": _knowledge_transfer(step, settings),
        **_cross_entropies(step, labels, paired_labels, settings),
        "inter_class": _inter_class(step, settings),
        "global_alignment": _global_alignment(step, settings),
        "local_alignment": _local_alignment(step, settings),
    }


def _knowledge_transfer(step: Step, settings: LocalizationSettings) -> float:
    height = step.pair.shape[2]
    values = []
    for p, (tags, paired_tags) in enumerate(zip(step.tags, step.paired_tags, strict=False)):
        halves = [(step.anchor[p], step.joint[p, :, :height], tags)]
        if settings.knowledge_transfer_halves == "both":
            halves.append((step.pair[p], step.joint[p, :, height:], paired_tags))
        for single, joint, own in halves:
            counted = np.maximum(tags, paired_tags) if settings.knowledge_transfer_tags == "union" else own
            for k, present in enumerate(counted):
                excess = np.maximum(single[k + 1] - joint[k + 1] - settings.margin, 0)
                if present:
                    values.extend(excess.flat)
                elif settings.class_reduction == "all":
                    values.extend([0.0] * excess.size)
    return _mean(values)


def _cross_entropies(
    step: Step, labels: Sequence[Labels], paired_labels: Sequence[Labels], settings: LocalizationSettings
) -> dict[str, float]:
    values: dict[str, list[float]] = {name: [] for name in ("background", "foreground")}
    joint: dict[str, list[float]] = {name: [] for name in ("joint_background", "joint_foreground")}
    labelled = 0
    for output, label, tags in zip(step.anchor, labels, step.tags, strict=True):
        counts_foreground = settings.foreground_images == "all" or tags.sum() == 1
        for name, entropy in _entropies(output, label, settings):
            labelled += 1
            if name == "background" or counts_foreground:
                values[name].append(entropy)
    for output, label, paired_label in zip(step.joint, labels, paired_labels, strict=False):
        below = paired_label if settings.joint_labels == "both" else np.full_like(paired_label, IGNORE)
        for name, entropy in _entropies(output, np.concatenate([label, below]), settings):
            labelled += 1
            joint[f"joint_{name}"].append(entropy)
    groups = {**values, **joint}
    if settings.cross_entropy_reduction == "pooled":
        return {name: sum(group) / labelled for name, group in groups.items()}
    return {name: _mean(group) for name, group in groups.items()}


def _entropies(output: Array, label: Labels, settings: LocalizationSettings) -> Iterator[tuple[str, float]]:
    """Yield group and cross-entropy of each labelled pixel."""
    logits = _full_size(output, label.shape[0], label.shape[1], settings)
    for i, j in np.ndindex(label.shape):
        if label[i, j] != IGNORE:
            entropy = math.log(np.exp(logits[:, i, j]).sum()) - logits[label[i, j], i, j]
            yield "background" if label[i, j] == 0 else "foreground", float(entropy)


def _inter_class(step: Step, settings: LocalizationSettings) -> float:
    size = step.images.shape[2], step.images.shape[3]
    images: list[list[float]] = []
    for output, image, tags in zip(step.anchor, step.images, step.tags, strict=True):
        if tags.sum() < 2:
            continue
        objects = strongest(output[1:], tags, size, settings.erase_normalization) > settings.object_threshold
        if not settings.count_padding:
            objects &= (image != 0).any(axis=0)
        activation = _full_size(output, *size, settings)[1:]
        differences = []
        for i, j in zip(*np.nonzero(objects), strict=True):
            largest = activation[:, i, j].max()
            others = [value for value in activation[:, i, j] if value != largest]
            differences.append(float(max(others, default=0.0) - largest))
        images.append(differences)
    if settings.inter_class_reduction == "image":
        return _mean([_mean(differences) for differences in images if differences])
    return _mean([difference for differences in images for difference in differences])


def _global_alignment(step: Step, settings: LocalizationSettings) -> float:
    values = []
    for anchor, erased, tags in zip(step.anchor, step.erased, step.tags, strict=True):
        for k, present in enumerate(tags):
            difference = np.maximum(anchor[k + 1], 0).mean() - np.maximum(erased[k + 1], 0).mean()
            if present:
                values.append(abs(difference) if settings.global_alignment_norm == "l1" else difference)
            elif settings.class_reduction == "all":
                values.append(0.0)
    return _mean(values)


def _local_alignment(step: Step, settings: LocalizationSettings) -> float:
    values: list[float] = []
    for anchor, erased, tags in zip(step.anchor, step.erased, step.tags, strict=True):
        size = anchor.shape[1], anchor.shape[2]
        kept = strongest(anchor[1:], tags, size, settings.erase_normalization) < settings.erase_threshold
        if settings.local_alignment_region == "all":
            kept[:] = True
        for k, present in enumerate(tags):
            excess = np.maximum((erased[k + 1] - anchor[k + 1]) * kept - settings.margin, 0)
            if present:
                values.extend(excess.flat)
            elif settings.class_reduction == "all":
                values.extend([0.0] * excess.size)
    return _mean(values)


def _full_size(output: Array, height: int, width: int, settings: LocalizationSettings) -> Array:
    return resized_all(np.maximum(output, 0) if settings.clip_logits else output, height, width)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
