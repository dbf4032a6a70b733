from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from ktse.segmentation.probabilities_file import ProbabilitiesFile
from ktse.segmentation.tiles import Piece


def piece(scores: np.ndarray, top: int, left: int) -> Piece:
    """Stand for a part of two images, of which the second is meant."""
    both = torch.from_numpy(np.stack([np.zeros_like(scores), scores]))
    return Piece(slice(top, top + scores.shape[1]), slice(left, left + scores.shape[2]), both)


def test_parts_come_together(tmp_path: Path) -> None:
    whole = np.random.default_rng(0).random((3, 5, 7), dtype=np.float32)
    path = tmp_path / "new folder" / "a.b.npz"
    with ProbabilitiesFile(path, (3, 5, 7)) as file:
        file.add(piece(whole[:, 2:, :4], 2, 0), 1)
        file.add(piece(whole[:, :2], 0, 0), 1)
        file.add(piece(whole[:, 2:, 4:], 2, 4), 1)
    with np.load(path, allow_pickle=False) as written:
        assert written.files == ["probabilities"]
        assert written["probabilities"].dtype == np.float16
        np.testing.assert_array_equal(written["probabilities"], whole.astype(np.float16))
    assert [entry.name for entry in path.parent.iterdir()] == ["a.b.npz"]
    assert zipfile.ZipFile(path).testzip() is None


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(b"of before")
    with pytest.raises(KeyboardInterrupt), ProbabilitiesFile(tmp_path / "a.npz", (2, 3, 3)):
        raise KeyboardInterrupt
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.npz"]
    assert (tmp_path / "a.npz").read_bytes() == b"of before"


def test_the_whole_file_is_on_disk_before_it_takes_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[object] = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda descriptor: (order.append(os.fstat(descriptor).st_size), fsync(descriptor)))
    monkeypatch.setattr(Path, "replace", lambda self, to: (order.append("rename"), replace(self, to))[1])
    with ProbabilitiesFile(tmp_path / "a.npz", (2, 3, 3)):
        pass
    assert order == [(tmp_path / "a.npz").stat().st_size, "rename"]
