from __future__ import annotations

from pathlib import Path

import pytest

from ktse.artifacts import RunDirectory
from ktse.config import RuntimeSettings
from ktse.engine.begun_stage import begun_stage
from ktse.engine.fabric import make_fabric


def test_what_is_removed_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, fabric = RunDirectory(tmp_path), make_fabric(RuntimeSettings(accelerator="cpu"))
    with begun_stage("localizer", "k", run=run, fabric=fabric):
        (run.localizer / "last.safetensors").touch()
    assert capsys.readouterr().err == ""
    with begun_stage("localizer", "another", run=run, fabric=fabric):
        said = capsys.readouterr().err
    assert said.startswith("settings or inputs of 'localizer' have changed")
    assert "1 files were removed and are made anew" in said


def test_done_only_when_the_block_ends_well(tmp_path: Path) -> None:
    run, fabric = RunDirectory(tmp_path), make_fabric(RuntimeSettings(accelerator="cpu"))
    with pytest.raises(KeyError), begun_stage("localizer", "k", run=run, fabric=fabric):
        raise KeyError
    assert run.stage("localizer").key == "k"
    assert not run.stage("localizer").is_done("k")
    with begun_stage("localizer", "k", run=run, fabric=fabric) as stage:
        assert stage == run.stage("localizer")
    assert run.stage("localizer").is_done("k")
    with begun_stage("localizer", "k", run=run, fabric=fabric) as stage:
        assert stage is None
    with begun_stage("localizer", "another", run=run, fabric=fabric) as stage:
        assert stage is not None
