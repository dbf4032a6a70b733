"""What localization takes on this machine: the training of the localizer, and the CAMs of all images."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from ktse.artifacts import write_cams
from ktse.config import LocalizationSettings, Recipe, replace
from ktse.data.dataset import Dataset
from ktse.data.image_io import write_label_map
from ktse.data.image_sizes import look_at_sizes
from ktse.data.loaders import batch_size, localizer_batches, steps_per_epoch
from ktse.data.size_batches import size_batches
from ktse.engine.cost import PATIENCE, StageCost, measured, measured_images, measured_or_scaled, scaled_memory
from ktse.engine.memory import memory_in_use
from ktse.engine.training_cost import Phase, training_costs
from ktse.localization.branches import needed_branches
from ktse.localization.infer import infer_cams
from ktse.localization.seeds import seed_labels
from ktse.localization.task import KtseTask, settings_at
from ktse.localization.train import build
from ktse.nets.localizer import Localizer

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def localization_costs(
    dataset: Dataset, recipe: Recipe, *, fabric: Fabric, patience: float = PATIENCE
) -> Iterator[StageCost]:
    """Measure what the localizer and its CAMs take, with new weights: nothing is fetched.

    Args:
        dataset: Images to learn from; all of them get CAMs.
        recipe: What is to be run.
        fabric: One process and its device.
        patience: Seconds that a step or an image may be expected to take for it to be measured.

    Yields:
        The steps of the warm-up, those with all losses, and the CAMs.

    Raises:
        InputError: The recipe's network cannot be built, an image cannot be read, or there is not enough memory.
    """
    localizer = build(recipe.localization, num_classes=dataset.classes.count, weights=None)
    yield from _steps(localizer, dataset, recipe, fabric, patience)
    yield _cams(localizer.eval(), dataset, recipe, fabric, patience)


def _steps(
    localizer: Localizer, dataset: Dataset, recipe: Recipe, fabric: Fabric, patience: float
) -> Iterator[StageCost]:
    settings = recipe.localization
    warm_up = settings.warm_up_epochs
    read_here = replace(recipe, runtime={"workers": 0})
    first = images_seen(settings, images=1, epoch=0)

    def phase(stage: str, epoch: int, epochs: int) -> Phase:
        return Phase(
            stage,
            steps=epochs * steps_per_epoch(dataset, recipe, epoch=epoch),
            epoch=epoch,
            read=lambda: next(localizer_batches(dataset, read_here, epoch=epoch)),
            parts=images_seen(settings, images=batch_size(settings, epoch=epoch), epoch=epoch) / first,
        )

    phases = [phase("localizer: warm-up", 0, warm_up)]
    phases.append(phase("localizer: all losses", warm_up, settings.epochs - warm_up))
    task = KtseTask(localizer, settings, mean=recipe.data.mean, std=recipe.data.std)
    yield from training_costs(
        localizer, task, settings, phases, workers=recipe.runtime.workers, fabric=fabric, patience=patience
    )


def images_seen(settings: LocalizationSettings, *, images: int, epoch: int) -> int:
    """Return how many images the network sees in a step, a joint image of two counted as two.

    Example:
        >>> settings = LocalizationSettings()
        >>> images_seen(settings, images=8, epoch=0), images_seen(settings, images=16, epoch=10)
        (8, 44)
    """
    pairs = min(images, settings.pairs) if epoch >= settings.warm_up_epochs else 0
    step = needed_branches(settings_at(settings, epoch), pairs=pairs)
    joint = 2 if settings.join == "stack" else 1
    return images * (1 + step.erased) + pairs * (step.pair + joint * step.joint)


def _cams(localizer: Localizer, dataset: Dataset, recipe: Recipe, fabric: Fabric, patience: float) -> StageCost:
    settings, together, device = recipe.localization, recipe.runtime.inference_batch, fabric.device
    smallest = min(settings.scales)
    one_view = replace(recipe, localization={"scales": (smallest,), "mirror": False})
    seen = sum(scale**2 for scale in settings.scales) / smallest**2 * (1 + settings.mirror)
    sizes = look_at_sizes(dataset)

    with TemporaryDirectory() as folder:

        def draw(index: int, views: Recipe) -> None:
            for indices, images in size_batches(dataset, [index] * together, together):
                for cams in infer_cams(localizer, images, dataset.tags[indices], views):
                    write_cams(Path(folder, "cams.npz"), cams)
                    write_label_map(Path(folder, "seed.png"), seed_labels(cams, settings.seed_threshold))

        before = memory_in_use(device)
        view = measured(lambda: draw(sizes.typical, one_view), device, patience=patience)
        memory = scaled_memory(view, before, (max(settings.scales) / smallest) ** 2)
        image = measured_or_scaled(
            lambda: draw(sizes.typical, recipe), view, seen, device, memory=memory, patience=patience
        )
        cost = measured_images(
            lambda index: draw(index, recipe), sizes, device, typical=image, before=before, patience=patience
        )
    seconds = cost.seconds / together * len(dataset)
    return StageCost("CAMs and seeds", len(dataset), "images", seconds, cost.memory, cost.is_whole)
