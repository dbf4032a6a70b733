"""The whole path on a few drawings, in this process: everything that a run promises to leave behind."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ktse.artifacts import RunDirectory, read_cams
from ktse.config import Recipe, replace
from ktse.data.folder import Folder
from ktse.data.image_io import read_confidence, read_label_map
from ktse.data.shapes import Shapes
from ktse.errors import DataError, InputError
from ktse.pipeline import STAGES, open_splits, run_recipe


@pytest.fixture
def run(finished: RunDirectory) -> RunDirectory:
    return finished


def test_every_image_has_its_files_of_its_size(run: RunDirectory) -> None:
    data = Shapes("train", count=16)
    for index, id_ in enumerate(data.ids):
        cams = read_cams(run.cams(id_))
        assert cams.present.tolist() == np.flatnonzero(data.tags[index]).tolist()
        assert cams.scores.dtype == np.float16
        allowed = {0, *(cams.present + 1)}
        for path in (run.seed(id_), run.mask(id_)):
            labels = read_label_map(path)
            assert labels.shape == data.image(index).shape[:2]
            assert set(np.unique(labels)) <= allowed, "only classes that the tags name"
        assert read_confidence(run.confidence(id_)).shape == labels.shape
    assert len(list((run.root / "predictions").rglob("*.png"))) == 6


def test_scores_stand_beside_baseline_bound_and_protocol(run: RunDirectory) -> None:
    scores = json.loads(run.scores.read_text())["scores"]
    assert [score["stage"] for score in scores] == ["seeds", "seeds", "masks", "predictions"]
    assert [score["protocol"]["threshold_source"] for score in scores] == ["masks", "fixed", "fixed", "none"]
    assert [score["protocol"]["split"] for score in scores] == ["train", "train", "train", "val"]
    assert all(score["baseline"] is not None for score in scores)
    assert [score["fully_supervised"] is not None for score in scores] == [False, False, False, True]
    assert scores[0]["miou"] >= scores[1]["miou"], "the best threshold is not worse than the fixed one"
    assert [score["trusted_share"] is not None for score in scores] == [False, False, True, False]
    for score in scores:
        matrix = np.array(score["matrix"])
        union = matrix.sum(0) + matrix.sum(1) - matrix.diagonal()
        expected = 100 * np.mean(matrix.diagonal()[union > 0] / union[union > 0])
        assert score["miou"] == pytest.approx(expected, abs=1e-3)


def test_run_directory_tells_how_it_was_made(run: RunDirectory, tiny: Recipe) -> None:
    manifest = json.loads(run.manifest.read_text())
    assert manifest["recipe"] == "tiny"
    assert set(manifest["stages"]) >= {"localizer", "cams", "seeds", "masks", "segmenter", "predictions"}
    assert run.report.stat().st_size > 10_000
    assert all(stage["status"] == "done" for stage in manifest["stages"].values())


def test_a_second_run_changes_nothing(run: RunDirectory, tiny: Recipe) -> None:
    def stamps() -> dict[Path, int]:
        made = [path for path in run.root.rglob("*") if path.suffix in {".npz", ".png", ".safetensors"}]
        return {path: path.stat().st_mtime_ns for path in made}

    before = stamps()
    run_recipe(replace(tiny, evaluation={"baseline": True, "fully_supervised": True}), data=None, out=run.root)
    assert stamps() == before


def test_a_changed_setting_redoes_what_depends_on_it_only(copied: RunDirectory, tiny: Recipe) -> None:
    id_ = Shapes("train", count=16).ids[0]
    before = {path: path.stat().st_mtime_ns for path in (copied.cams(id_), copied.mask(id_))}
    changed = replace(tiny, refinement={"background_score": 0.45})
    run_recipe(changed, data=None, out=copied.root, stages=["localizer", "cams", "masks"])
    assert copied.cams(id_).stat().st_mtime_ns == before[copied.cams(id_)]
    assert copied.mask(id_).stat().st_mtime_ns != before[copied.mask(id_)]
    events = [json.loads(line) for line in copied.log().read_text().splitlines()]
    assert any(event.get("event") == "stale" and event["stage"] == "masks" for event in events)


def test_unknown_stage_is_refused_before_any_work(tiny: Recipe, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Did you mean 'masks'"):
        run_recipe(tiny, data=None, out=tmp_path / "run", stages=["mask"])
    assert not (tmp_path / "run").exists()
    assert set(STAGES) >= {"localizer", "cams", "masks"}


def test_own_images_without_any_mask(tiny: Recipe, tmp_path: Path) -> None:
    """What a practitioner has: images and tags, no masks, no validation split."""
    from PIL import Image

    source = Shapes("train", count=8)
    (tmp_path / "images").mkdir()
    lines = ["image,tags"]
    for index in range(8):
        Image.fromarray(source.image(index)).save(tmp_path / "images" / f"{index}.jpg")
        names = [source.classes.names[k] for k in np.flatnonzero(source.tags[index])]
        lines.append(f"{index}.jpg,{';'.join(names)}")
    (tmp_path / "train.csv").write_text("\n".join(lines))
    (tmp_path / "classes.txt").write_text("\n".join(source.classes.names))
    recipe = replace(tiny, data={"kind": "folder"})
    assert run_recipe(recipe, data=tmp_path, out=tmp_path / "run") == []
    run = RunDirectory(tmp_path / "run")
    assert all(run.mask(id_).is_file() and run.prediction(id_).is_file() for id_ in Folder(tmp_path).ids)
    assert run.report.is_file()


@pytest.mark.parametrize("key", ["val_split", "score_split"])
def test_a_misspelt_split_is_not_replaced_by_the_training_images(tiny: Recipe, tmp_path: Path, key: str) -> None:
    (tmp_path / "images").mkdir()
    for split in ("train", "val"):
        (tmp_path / "images" / f"{split}.png").touch()
        (tmp_path / f"{split}.csv").write_text(f"image,tags\n{split}.png,cat\n")
    recipe = replace(tiny, data={"kind": "folder"})
    assert open_splits(recipe, tmp_path).val.ids == ("val",)
    with pytest.raises(DataError, match=rf"no split 'vall', which data\.{key} names\. Did you mean 'val'\?"):
        open_splits(replace(recipe, data={key: "vall"}), tmp_path)


def test_looking_at_a_run_from_another_side_does_not_change_it(copied: RunDirectory, tiny: Recipe) -> None:
    recipe = copied.recipe.read_bytes()
    alone = {"baseline": False, "fully_supervised": False}
    other = replace(tiny, localization={"seed_threshold": 0.3}, evaluation=alone)
    scores = run_recipe(other, data=None, out=copied.root, stages=["scores"])
    assert next(score.protocol.threshold for score in scores if score.protocol.threshold_source == "fixed") == 0.3
    assert copied.recipe.read_bytes() == recipe
