"""The probabilities of one image on disk: an npz of half precision that is written part by part."""

from __future__ import annotations

import contextlib
import os
import secrets
import zipfile
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from ktse.artifacts.files import TEMPORARY_SUFFIX
from ktse.segmentation.tiles import Piece

ARRAY_NAME = "probabilities"
"""Name of the array in the file: `numpy.load(path)["probabilities"]` is (L, H, W) float16."""

_COMPRESSION = 1  # zlib's fastest: half the bytes; higher levels save little more and take several times as long


class ProbabilitiesFile:
    """Writes a file that is whole when the block ends without an error, and not there otherwise.

    The parts of a large image are put in their places on disk, so that memory does not grow with labels times pixels;
    while it is written, the file takes its place there twice.

    Args:
        path: File to write (.npz).
        shape: (L, H, W).

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> import torch
        >>> with TemporaryDirectory() as folder:
        ...     with ProbabilitiesFile(Path(folder) / "cat.npz", (2, 1, 2)) as file:
        ...         file.add(Piece(slice(0, 1), slice(1, 2), torch.full((1, 2, 1, 1), 0.5)))
        ...         file.add(Piece(slice(0, 1), slice(0, 1), torch.tensor([0.0, 1.0]).reshape(1, 2, 1, 1)))
        ...     np.load(Path(folder) / "cat.npz")["probabilities"].tolist()
        [[[0.0, 0.5]], [[1.0, 0.5]]]
    """

    def __init__(self, path: Path, shape: tuple[int, int, int]) -> None:
        self.path = path
        self.shape = shape
        stem = path.parent / f".{path.name[:64]}.{secrets.token_hex(4)}"
        self._array_file = stem.with_name(f"{stem.name}-array{TEMPORARY_SUFFIX}")
        self._archive = stem.with_name(f"{stem.name}{TEMPORARY_SUFFIX}")

    def __enter__(self) -> ProbabilitiesFile:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        npy.open_memmap(self._array_file, mode="w+", dtype=np.float16, shape=self.shape)
        return self

    def add(self, piece: Piece, number: int = 0) -> None:
        """Put a part in its place.

        Args:
            piece: Probabilities (N, L, h, w) of N images.
            number: Which of these images.
        """
        half: NDArray[np.float16] = piece.scores[number].cpu().numpy().astype(np.float16)
        # mapped for this part alone: pages of a large file that stay mapped count as memory of the process
        npy.open_memmap(self._array_file, mode="r+")[:, piece.rows, piece.columns] = half

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                with self._archive.open("xb") as file:
                    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=_COMPRESSION) as archive:
                        archive.write(self._array_file, f"{ARRAY_NAME}.npy")
                    file.flush()
                    os.fsync(file.fileno())  # as of every file: the name is taken by what is on the disk
                self._archive.replace(self.path)
        finally:
            for path in (self._array_file, self._archive):
                with contextlib.suppress(FileNotFoundError):
                    path.unlink()
