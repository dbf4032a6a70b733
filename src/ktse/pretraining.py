"""Pre-trains the demo's trunk on drawn things that are no class of Shapes, as ImageNet serves VOC.

    python -m ktse.pretraining --out DIR

writes `demo_trunk.safetensors` and `demo_trunk.json`, which says how it came about. On the same machine with the same
versions the file is the same to the bit; elsewhere its accuracy is.
"""

from __future__ import annotations

import argparse
import hashlib
import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor, nn

from ktse.artifacts.files import write_bytes_atomic, write_json
from ktse.config.data import DataSettings
from ktse.data.shapes_drawing import Show, draw
from ktse.data.shapes_other_things import OTHER_KINDS
from ktse.data.shapes_things import Kind
from ktse.data.shapes_world import World
from ktse.data.transforms import normalize
from ktse.engine.seeding import private_torch_seed
from ktse.nets.demo_trunk import DemoTrunk

TRAINING_STREAM, VALIDATION_STREAM = 0, 1
"""Random streams of the images that are learned from, and of those that accuracy is measured on."""


PRETRAINING_WORLD = World(own_hue=0.7, own_texture=0.8, body_saturation=(0.3, 0.65))
"""World of the pre-training: its bodies say less about their kind than those of Shapes, so that the trunk does not
learn bodies before the method does. With a trunk that was pre-trained on bodies like those of Shapes the plain
classifier had better seeds and the full method, with settings that were changed later, gained nothing: one training on
each of two data sets (docs/results.md, working notes)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainingSettings:
    """How the trunk is pre-trained.

    Attributes:
        random_seed: Of weights, images and their order.
        images: Training images, one thing each.
        validation_images: Images that accuracy is measured on.
        image_size: Side of the images, px.
        epochs: Passes over the training images.
        batch_size: Images a step.
        learning_rate: Highest learning rate of Adam, reached after `warm_up` of the steps; falls to 0 as a cosine.
        warm_up: Share of the steps over which the learning rate grows.
        weight_decay: Decoupled weight decay.
        label_smoothing: Share of the target that is spread over all kinds.
    """

    random_seed: int = 0
    images: int = 4600
    validation_images: int = 920
    image_size: int = 64
    epochs: int = 6
    batch_size: int = 32
    learning_rate: float = 4e-3
    warm_up: float = 0.15
    weight_decay: float = 0.02
    label_smoothing: float = 0.1


def draw_single_things(
    kinds: Sequence[Kind],
    count: int,
    *,
    random_seed: int,
    stream: int,
    size: int,
    show: Show = "all",
    world: World | None = None,
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Draw images with one thing each, every kind in turn.

    Args:
        kinds: What is drawn.
        count: Number of images.
        random_seed: Of the images.
        stream: Another stream has other images of the same seed.
        size: Side of the images, px.
        show: What is drawn of each thing.
        world: How it is drawn; as Shapes is when None.

    Returns:
        Images (count, size, size, 3), and the place of each thing's kind in `kinds` (count,).

    Example:
        >>> images, places = draw_single_things(OTHER_KINDS, 2, random_seed=0, stream=0, size=32)
        >>> images.shape, places
        ((2, 32, 32, 3), array([0, 1]))
    """
    places = np.arange(count) % len(kinds)
    world = world or World()

    def drawn(index: int) -> NDArray[np.uint8]:
        rng = np.random.default_rng([random_seed, stream, index])
        return draw(rng, [kinds[int(places[index])]], size=size, world=world, show=show)[0]

    return np.stack([drawn(index) for index in range(count)]), places


def as_network_input(images: NDArray[np.uint8]) -> Tensor:
    """Return images (B, H, W, 3) as the networks see them: normalised, (B, 3, H, W) float32."""
    settings = DataSettings()
    normalized = normalize(images, settings.mean, settings.std)
    return torch.from_numpy(np.ascontiguousarray(normalized.transpose(0, 3, 1, 2)))  # channels first


class KindClassifier(nn.Module):
    """The trunk with a 1x1 head, averaged over the image."""

    def __init__(self, num_kinds: int) -> None:
        super().__init__()
        self.trunk = DemoTrunk()
        self.head = nn.Linear(self.trunk.channels, num_kinds)

    def forward(self, images: Tensor) -> Tensor:
        """Map (B, 3, H, W) to logits (B, num_kinds)."""
        logits: Tensor = self.head(self.trunk(images).mean(dim=(2, 3)))
        return logits


def new_kind_classifier(num_kinds: int, *, random_seed: int) -> KindClassifier:
    """Return a classifier with random weights that depend on the seed alone."""
    with private_torch_seed():
        torch.manual_seed(random_seed)
        return KindClassifier(num_kinds)


def train_kind_classifier(
    classifier: KindClassifier, images: NDArray[np.uint8], places: NDArray[np.int64], settings: PretrainingSettings
) -> None:
    """Train a classifier of kinds on single things, in place.

    Args:
        classifier: Network to train.
        images: (N, H, W, 3).
        places: (N,) the kind of each.
        settings: How to train; `images` and `image_size` do not matter here.
    """
    rng = np.random.default_rng(settings.random_seed)
    optimizer = torch.optim.AdamW(
        classifier.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    steps = settings.epochs * (len(images) // settings.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.learning_rate, total_steps=steps, pct_start=settings.warm_up, cycle_momentum=False
    )
    targets = torch.from_numpy(places)
    classifier.train()
    for _ in range(settings.epochs):
        order = rng.permutation(len(images))
        for start in range(0, len(order) - settings.batch_size + 1, settings.batch_size):
            chosen = order[start : start + settings.batch_size]
            logits = classifier(as_network_input(images[chosen]))
            loss = F.cross_entropy(logits, targets[chosen], label_smoothing=settings.label_smoothing)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call] # torch leaves it untyped
            optimizer.step()
            schedule.step()


@torch.no_grad()
def accuracy(classifier: nn.Module, images: NDArray[np.uint8], places: NDArray[np.int64], *, batch_size: int) -> float:
    """Return the share of images (N, H, W, 3) of which the classifier says the right kind (N,)."""
    classifier.eval()
    starts = range(0, len(images), batch_size)
    said = [classifier(as_network_input(images[start : start + batch_size])).argmax(dim=1) for start in starts]
    return float((torch.cat(said).numpy() == places).mean())


@contextmanager
def one_exact_thread() -> Iterator[None]:
    """Compute with one thread and exact algorithms, so that a run can be repeated to the bit."""
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic)


def pretrain_demo_trunk(out: Path, settings: PretrainingSettings | None = None) -> dict[str, Any]:
    """Pre-train the demo's trunk and write its weights and how they were made.

    Args:
        out: Folder for `demo_trunk.safetensors` and `demo_trunk.json`; made if need be.
        settings: How to train; the packaged weights have the defaults.

    Returns:
        What the JSON file holds.
    """
    settings = PretrainingSettings() if settings is None else settings
    things: dict[str, Any] = {
        "random_seed": settings.random_seed,
        "size": settings.image_size,
        "world": PRETRAINING_WORLD,
    }
    images, places = draw_single_things(OTHER_KINDS, settings.images, stream=TRAINING_STREAM, **things)
    unseen, truth = draw_single_things(OTHER_KINDS, settings.validation_images, stream=VALIDATION_STREAM, **things)
    with one_exact_thread():
        classifier = new_kind_classifier(len(OTHER_KINDS), random_seed=settings.random_seed)
        train_kind_classifier(classifier, images, places, settings)
        score = accuracy(classifier, unseen, truth, batch_size=settings.batch_size)
    weights = save({name: value.contiguous() for name, value in classifier.trunk.state_dict().items()})
    record = {
        "sha256": hashlib.sha256(weights).hexdigest(),
        "accuracy": round(score, 4),
        "accuracy_of": f"{settings.validation_images} unseen images of one thing each, {len(OTHER_KINDS)} kinds",
        "command": "python -m ktse.pretraining --out DIR",
        "kinds": [kind.name for kind in OTHER_KINDS],
        "settings": asdict(settings),
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__},
    }
    write_bytes_atomic(out / "demo_trunk.safetensors", weights)
    write_json(out / "demo_trunk.json", record)
    return record


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the pre-training from the command line."""
    parser = argparse.ArgumentParser(prog="python -m ktse.pretraining", description="Pre-train the demo's trunk.")
    parser.add_argument("--out", type=Path, required=True, help="folder for the weights and their description")
    pretrain_demo_trunk(parser.parse_args(arguments).out)


if __name__ == "__main__":
    main()
