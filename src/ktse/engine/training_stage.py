"""A stage that trains one network: loaded when it is done, else drawn, trained and written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

import torch
from torch import nn

from ktse.artifacts import RunDirectory, digest_of_file, stage_key
from ktse.config import Recipe, RuntimeSettings
from ktse.data.dataset import Dataset
from ktse.engine.begun_stage import begun_stage
from ktse.engine.fabric import check_precision
from ktse.engine.guards import Guard
from ktse.engine.loop import Plan, fit
from ktse.engine.optim import Schedule, make_sgd
from ktse.engine.seeding import keyed_seed, private_torch_seed
from ktse.engine.together import decided

if TYPE_CHECKING:
    from lightning_fabric import Fabric


class Learner(Protocol):
    """A network that says which of its parameters learn, in named groups."""

    def parameter_groups(self) -> Mapping[str, Sequence[nn.Parameter]]:
        """Return the parameters that learn."""

    def eval(self) -> Self:
        """Set evaluation mode."""


class TrainingSettings(Protocol):
    """What the settings of every training have in common."""

    epochs: int
    micro_batches: int
    gradient_clip: float | None
    momentum: float
    weight_decay: float


Network = TypeVar("Network", bound=Learner)


def training_key(name: str, dataset: Dataset, recipe: Recipe, *parts: Any, weights: str | None) -> str:
    """Return the stage key of a training: it changes with everything that the network depends on.

    Args:
        name: Of the stage.
        dataset: Images that are learned from.
        recipe: Says what every training depends on: how images are normalised, random seed, precision.
        parts: What this one depends on besides: its settings, the keys of the stages before.
        weights: What the trunk starts from; of a file the content counts, whatever its name.
    """
    common = {
        "weights": digest_of_file(Path(weights)) if weights and Path(weights).is_file() else weights,
        "mean": recipe.data.mean,
        "std": recipe.data.std,
        "random_seed": recipe.runtime.random_seed,
        "precision": recipe.runtime.precision,
    }
    return stage_key(name, dataset.fingerprint(), *parts, common)


def run_training_stage(
    name: str,
    key: str,
    settings: TrainingSettings,
    runtime: RuntimeSettings,
    *,
    run: RunDirectory,
    fabric: Fabric,
    draw: Callable[[], Network],
    task: Callable[[Network], nn.Module],
    steps: Callable[[int], int],
    batches: Callable[[int, int], Iterator[Any]],
    schedule: Schedule,
    rate_factors: Mapping[str, float],
    write: Callable[[Network], None],
    load: Callable[[], Network],
    guards: Sequence[Guard] = (),
    complete: Callable[[Network], None] | None = None,
) -> Network:
    """Train a network, or go on with it, or load it when it is done.

    Args:
        name: Name of the stage.
        key: Stage key; what was trained with another key is stale and made anew.
        settings: Epochs and optimiser.
        runtime: Random seed and interval of checkpoints.
        run: Where the stage is.
        fabric: Processes and device.
        draw: Builds the network with its first weights; torch's random seed is set before.
        task: Network to the task that `fit` trains.
        steps: Epoch to the number of its steps.
        batches: (epoch, first step) to the batches of this process, from that step on.
        schedule: Learning rate over all steps.
        rate_factors: Name of a parameter group to a factor on its learning rate, 1 where a name is missing.
        write: Writes the trained network; the first process calls it.
        load: Reads what `write` wrote.
        guards: Limits for monitors of the task.
        complete: What every process does with the trained network, in evaluation mode, before it is written.

    Returns:
        The trained network in evaluation mode.

    Raises:
        StoppedError: Stopped by Ctrl-C or SIGTERM; the same call goes on.
        GuardError: The training has gone wrong.
        RecipeError: The device does not have the arithmetic that is asked for.
    """
    network = None
    if not decided(lambda: run.stage(name).is_done(key), fabric):
        with private_torch_seed():  # drawn before a network of other settings is removed: it may turn out impossible
            torch.manual_seed(keyed_seed(runtime.random_seed))
            check_precision(runtime, fabric)
            network = draw()
    with begun_stage(name, key, run=run, fabric=fabric) as stage:
        if stage is None or network is None:
            return load().eval()
        plan = Plan(
            stage=name,
            epochs=settings.epochs,
            steps=steps,
            batches=batches,
            schedule=schedule,
            micro_batches=settings.micro_batches,
            gradient_clip=settings.gradient_clip,
            random_seed=runtime.random_seed,
            checkpoint=stage.folder / "resume.safetensors",
            checkpoint_interval=runtime.checkpoint_interval,
            key=key,
            log=run.log(fabric.global_rank),
            guards=guards,
        )
        optimizer = make_sgd(
            network.parameter_groups(), rate_factors, momentum=settings.momentum, weight_decay=settings.weight_decay
        )
        fit(task(network), optimizer, plan, fabric=fabric)
        network.eval()
        if complete is not None:
            complete(network)
        if fabric.global_rank == 0:
            write(network)
            plan.checkpoint.unlink(missing_ok=True)
    return network
