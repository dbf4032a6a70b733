"""How long a run takes on this machine, and whether its memory suffices: a little of every stage, multiplied."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ktse.config import Recipe, replace
from ktse.engine.cost import PATIENCE, StageCost, total_cost
from ktse.engine.fabric import make_fabric
from ktse.engine.memory import memory_of_machine
from ktse.engine.seeding import private_torch_seed
from ktse.errors import KtseError
from ktse.localization.cost import localization_costs
from ktse.recipes.components import weights_with
from ktse.refinement.cost import refinement_costs
from ktse.segmentation.cost import segmentation_costs
from ktse.splits import Splits, open_splits

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@dataclass(frozen=True, slots=True)
class RunCost:
    """What a run takes on this machine, as one process.

    Attributes:
        stages: Its stages in their order, and what the comparisons take that the recipe asks for.
        device: Where it runs: cpu, cuda or mps.
        threads: Processor cores that one process computes on.
        memory_of_machine: Bytes that the device has; None where nobody says it.
    """

    stages: tuple[StageCost, ...]
    device: str
    threads: int
    memory_of_machine: int | None

    @property
    def total(self) -> StageCost:
        """The sum of times and the largest memory, of what could be told."""
        return total_cost("sum", self.stages)

    def to_json(self) -> dict[str, Any]:
        """Return the costs as plain lists and dictionaries; times in seconds, memory in bytes."""
        return {
            "device": self.device,
            "threads": self.threads,
            "seconds": self.total.seconds,
            "memory": self.total.memory,
            "memory_of_machine": self.memory_of_machine,
            "stages": [stage.to_json() for stage in self.stages],
        }


def run_cost(
    recipe: Recipe, *, data: Path | None, report: Callable[[], None] = lambda: None, patience: float = PATIENCE
) -> RunCost:
    """Measure what each stage of a recipe takes, in seconds to a minute or two.

    Networks have new weights, CAMs and labels are made up: nothing is fetched, and nothing is written that stays.
    Scores and the report are not counted, nor is the loading of weights.

    Args:
        recipe: What is to be run.
        data: Root of the data set; None for Shapes.
        report: Called after each of `count_parts(recipe)` parts.
        patience: Seconds that a step or an image may be expected to take for it to be measured whole.

    Returns:
        The costs; where those of a stage cannot be told, why.

    Raises:
        DataError: The data set cannot be opened.

    Example:
        >>> from ktse.recipes import load_recipe
        >>> tiny = replace(load_recipe("demo/quick"), localization={"crop_size": 32}, segmentation={"crop_size": 32},
        ...                evaluation={"baseline": False, "fully_supervised": False})
        >>> [stage.stage for stage in run_cost(tiny, data=None).stages]  # doctest: +NORMALIZE_WHITESPACE
        ['localizer: warm-up', 'localizer: all losses', 'CAMs and seeds', 'refinement: par', 'masks', 'segmenter',
         'predictions']
    """
    splits, fabric = open_splits(recipe, data), make_fabric(recipe.runtime)
    with private_torch_seed():
        torch.manual_seed(recipe.runtime.random_seed)
        stages = tuple(_stages(recipe, splits, fabric, report, patience))
    return RunCost(stages, fabric.device.type, torch.get_num_threads(), memory_of_machine(fabric.device))


def count_parts(recipe: Recipe) -> int:
    """Return how often `run_cost` reports.

    Example:
        >>> count_parts(Recipe())
        3
    """
    return 4 if recipe.evaluation.baseline else 3


def _stages(
    recipe: Recipe, splits: Splits, fabric: Fabric, report: Callable[[], None], patience: float
) -> Iterator[StageCost]:
    def told(part: str, costs: Iterable[StageCost]) -> list[StageCost]:
        """Go through costs as far as they can be told."""
        stages: list[StageCost] = []
        try:
            stages.extend(costs)
        except KtseError as error:
            stages.append(StageCost(part, 0, "", None, None, trouble=str(error)))
        report()
        return stages

    localize = partial(localization_costs, splits.train, fabric=fabric, patience=patience)
    localization = told("localization", localize(recipe))
    refinement = told("refinement", refinement_costs(splits.train, recipe, fabric=fabric, patience=patience))
    segmentation = told(
        "segmentation", segmentation_costs(splits.train, splits.val, recipe, fabric=fabric, patience=patience)
    )
    yield from (*localization, *refinement, *segmentation)
    if recipe.evaluation.baseline:
        plain = replace(recipe, localization={"weights": weights_with((), recipe.localization.weights)})
        yield total_cost("baseline", [*told("localization", localize(plain)), *refinement, *segmentation])
    if recipe.evaluation.fully_supervised:
        yield total_cost("fully supervised", segmentation)
