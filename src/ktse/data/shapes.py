"""The embedded data set: small drawn scenes that show the failures the method treats.

Each thing has a small striking part that alone tells its class, and a large body whose shape tells a little and whose
colour and pattern tell almost nothing; scenes go with classes, but not always. Nothing is downloaded or stored: an
image is drawn when it is first asked for, in a few milliseconds, and always the same.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ktse.data.classes import Classes
from ktse.data.dataset import Dataset
from ktse.data.shapes_drawing import Show, draw
from ktse.data.shapes_things import KINDS
from ktse.data.shapes_world import World
from ktse.errors import DataError, near_matches

SPLITS = {"train": 480, "val": 200}
"""Images of each split, unless another count is asked for; the place in this table is the split's random stream."""

SHAPES_CLASSES = Classes(tuple(kind.name for kind in KINDS))


class Shapes(Dataset):
    """Drawn scenes with one to three things of seven classes, with true masks.

    Images that were asked for are kept in memory (about 37 kB each at the default size).

    Args:
        split: `train` or `val`: different images of one world.
        world_seed: Random seed of the world, at least 0; another seed is another data set.
        count: Number of images; by default 480 for training, 200 for validation. Fewer are the first of more.
        size: Side of the images, px.
        world: What the world is like.
        show: What is drawn of each thing; for checks of the world itself. Tags and masks do not depend on it.

    Raises:
        DataError: The split is unknown, or no images are asked for.

    Example:
        >>> data = Shapes("val", count=3)
        >>> data.ids, data.classes.names[3]
        (('val/0000', 'val/0001', 'val/0002'), 'cat')
        >>> data.image(0).shape, data.mask(0).shape
        ((96, 96, 3), (96, 96))
    """

    def __init__(
        self,
        split: str = "train",
        *,
        world_seed: int = 0,
        count: int | None = None,
        size: int = 96,
        world: World | None = None,
        show: Show = "all",
    ) -> None:
        if split not in SPLITS:
            raise DataError(f"Shapes has no split '{split}'.", remedy=near_matches(split, SPLITS))
        count = SPLITS[split] if count is None else count
        self._stream = (world_seed, list(SPLITS).index(split))
        self._size = size
        self._world = World() if world is None else world
        self._show: Show = show
        self._drawn: dict[int, tuple[NDArray[np.uint8], NDArray[np.uint8]]] = {}
        tags = np.zeros((count, len(KINDS)), np.bool_)
        for index in range(count):
            tags[index, choose_classes(self._generator(index), self._world)] = True
        super().__init__(
            name=f"shapes-{world_seed}",
            split=split,
            classes=SHAPES_CLASSES,
            ids=[f"{split}/{index:04d}" for index in range(count)],
            tags=tags,
            has_masks=True,
            variant=repr((size, self._world, show)),
        )

    def image(self, index: int) -> NDArray[np.uint8]:
        """Return image `index`, drawn at the first call."""
        return self._draw(index)[0].copy()

    def mask(self, index: int) -> NDArray[np.uint8]:
        """Return the true mask of image `index`, without any pixel to ignore."""
        return self._draw(index)[1].copy()

    def _generator(self, index: int) -> np.random.Generator:
        """Return the random stream of image `index`."""
        return np.random.default_rng([*self._stream, index])

    def _draw(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Return image and mask."""
        if not 0 <= index < len(self):
            raise IndexError(f"image {index} of {len(self)}")
        if index not in self._drawn:
            rng = self._generator(index)
            classes = choose_classes(rng, self._world)
            kinds = [KINDS[k] for k in classes]
            image, things = draw(rng, kinds, size=self._size, world=self._world, show=self._show)
            label_of_thing = np.array([0, *(k + 1 for k in classes)], np.uint8)
            self._drawn[index] = image, label_of_thing[things]
        return self._drawn[index]


def choose_classes(rng: np.random.Generator, world: World) -> list[int]:
    """Choose the things of an image: one to three, of one or two classes.

    Returns:
        The class (0 .. K-1) of each thing; the first decides the scene.
    """
    first = int(rng.integers(len(KINDS)))
    if rng.random() >= world.two_classes:
        return [first, first] if rng.random() < world.same_again else [first]
    others = [k for k in range(len(KINDS)) if k != first]
    related = [k for k in others if KINDS[k].home == KINDS[first].home]
    candidates = related if related and rng.random() < world.related_second else others
    chosen = [first, int(rng.choice(candidates))]
    if rng.random() < world.third_thing:
        chosen.append(int(rng.choice(chosen)))
    return chosen
