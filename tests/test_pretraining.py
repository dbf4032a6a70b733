from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from ktse import pretraining
from ktse.data.shapes_other_things import OTHER_KINDS
from ktse.nets.demo_trunk import DemoTrunk, load_demo_weights
from ktse.pretraining import PretrainingSettings, accuracy, draw_single_things, pretrain_demo_trunk

TINY = PretrainingSettings(images=16, validation_images=4, image_size=32, epochs=1, batch_size=8)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights") / "new"
    pretrain_demo_trunk(folder, TINY)
    return folder


def test_files_agree(written: Path) -> None:
    record = json.loads((written / "demo_trunk.json").read_text())
    assert hashlib.sha256((written / "demo_trunk.safetensors").read_bytes()).hexdigest() == record["sha256"]
    assert record["settings"]["images"] == 16
    assert record["kinds"][0] == OTHER_KINDS[0].name
    load_demo_weights(DemoTrunk(), written / "demo_trunk.safetensors")


def test_a_second_run_is_the_same_to_the_bit(written: Path, tmp_path: Path) -> None:
    torch.manual_seed(5)  # what others have drawn does not matter, and nothing is drawn from it
    state = torch.get_rng_state()
    threads = torch.get_num_threads()
    record = pretrain_demo_trunk(tmp_path, TINY)
    assert record["sha256"] == json.loads((written / "demo_trunk.json").read_text())["sha256"]
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()


def test_another_seed_gives_other_weights(written: Path, tmp_path: Path) -> None:
    other = PretrainingSettings(random_seed=1, images=16, validation_images=4, image_size=32, epochs=1, batch_size=8)
    record = pretrain_demo_trunk(tmp_path, other)
    assert record["sha256"] != json.loads((written / "demo_trunk.json").read_text())["sha256"]


def test_streams_have_different_images() -> None:
    one, kinds = draw_single_things(OTHER_KINDS, 3, random_seed=0, stream=0, size=32)
    other, same_kinds = draw_single_things(OTHER_KINDS, 3, random_seed=0, stream=1, size=32)
    np.testing.assert_array_equal(kinds, same_kinds)
    assert not np.array_equal(one, other)


def test_accuracy_counts_right_answers() -> None:
    class Brightness(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            bright = images.mean(dim=(1, 2, 3))
            return torch.stack([-bright, bright], dim=1)

    images = np.zeros((5, 8, 8, 3), np.uint8)
    images[3:] = 255
    assert accuracy(Brightness(), images, np.array([0, 0, 1, 1, 0]), batch_size=2) == pytest.approx(0.6)


def test_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []
    monkeypatch.setattr(pretraining, "pretrain_demo_trunk", asked.append)
    pretraining.main(["--out", str(tmp_path)])
    assert asked == [tmp_path]
