"""`ktse evaluate` of a run, and of label maps that no run has made."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from ktse.cli.main import app
from ktse.data.image_io import write_label_map
from ktse.evaluation.protocol import Protocol
from ktse.evaluation.score import Score
from reference.voc_tree import make_voc

COLUMNS = np.arange(8)[None, :].repeat(6, axis=0)
LABEL_MAPS = {
    "2007_000032": np.select([COLUMNS < 2, COLUMNS < 4], [0, 15], 12),
    "2007_000039": np.zeros((6, 8), np.uint8),
}
"""Of `make_voc`'s two images of train. The first is right. Of the second all is background: 24 pixels of 48 are not.

IoU of background is (12 + 24) / (12 + 24 + 24), of dog and person 1, of tvmonitor 0; the mean of the four is 65.
"""


def evaluate(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["evaluate", *map(str, words)])


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    return make_voc(tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "sem_seg"
    for id_, labels in LABEL_MAPS.items():
        write_label_map(folder / f"{id_}.png", labels)
    return folder


def zipped(folder: Path, *, below: str = "sem_seg/") -> Path:
    """Pack a folder as the released archive is, with an image of trainaug that is not scored."""
    archive = folder.parent / "sem_seg.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in folder.iterdir():
            file.write(path, f"{below}{path.name}")
        file.write(next(folder.iterdir()), f"{below}2008_000002.png")
    return archive


def row_of(result: Result) -> list[str]:
    return next(line for line in result.stdout.splitlines() if line.startswith("> ")).split()


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "archive"])
def test_label_maps_stand_among_the_rows_of_the_paper(voc: Path, folder: Path, packed: bool) -> None:
    label_maps = zipped(folder) if packed else folder
    result = evaluate(label_maps, "--data", voc, "--against", "table1")
    assert result.exit_code == 0, result.output
    assert f"pseudo masks: VOC 2012 train, 2 images; label maps of {label_maps.name}\n" in result.stdout
    assert row_of(result) == [">", label_maps.name, "65.0*"], "nothing is known of seeds; 2 images are not 1,464"
    assert "KTSE (the paper)" in result.stdout
    assert "refined by" not in result.stdout


def test_released_masks_are_known_by_name(
    voc: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KTSE_WEIGHTS", str(tmp_path))
    missing = evaluate("ktse.masks", "--data", voc)
    assert (missing.exit_code, "ktse weights pull ktse.masks" in missing.stderr) == (2, True)
    zipped(folder)
    assert "label maps of sem_seg.zip" in evaluate("ktse.masks", "--data", voc).stdout


def test_the_split_says_what_label_maps_are(voc: Path, tmp_path: Path) -> None:
    write_label_map(tmp_path / "mine" / "2007_000033.png", np.ones((6, 8), np.uint8))
    for words in (["--split", "val"], ["--against", "table3"]):
        result = evaluate(tmp_path / "mine", "--data", voc, *words)
        assert "predictions: VOC 2012 val, 1 images; label maps of mine" in result.stdout, result.output


def test_a_recipe_or_settings_may_say_how_the_truth_is_read(voc: Path, folder: Path) -> None:
    for path in (voc / "Annotations").iterdir():
        path.unlink()
    without_xml = ["--set", "data.voc_tags=masks"]
    assert evaluate(folder, "--data", voc).exit_code == 2
    assert " 65.0 " in evaluate(folder, "--data", voc, *without_xml).stdout
    assert " 65.0 " in evaluate(folder, "--data", voc, *without_xml, "--recipe", "voc12/full").stdout


def test_predictions_have_the_size_of_the_photograph_and_masks_that_of_the_reduced_image(tmp_path: Path) -> None:
    labels = np.repeat([[0, 1]], 48, axis=0).repeat(32, axis=1)
    for name in ("images", "masks"):
        write_label_map(tmp_path / name / "a.png", labels)
    (tmp_path / "classes.txt").write_text("cat\n")
    for split in ("train", "val"):
        (tmp_path / f"{split}.csv").write_text("image,tags\na.png,cat\n")
    write_label_map(tmp_path / "whole" / "a.png", labels)
    write_label_map(tmp_path / "half" / "a.png", labels[::2, ::2])

    def score(label_maps: str, split: str) -> Result:
        changes = ("--set", "data.longest_side=32", "--split", split)
        return evaluate(tmp_path / label_maps, "--data", tmp_path, *changes)

    for label_maps, split in (("whole", "val"), ("half", "train")):
        assert " 100.0 " in score(label_maps, split).stdout
    assert "is (48, 64), the true mask (24, 32)" in score("whole", "train").stderr
    assert "is (24, 32), the true mask (48, 64)" in score("half", "val").stderr


def test_label_maps_within_a_run_are_label_maps(voc: Path, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    folder.rename(tmp_path / "run" / "masks")
    (tmp_path / "run" / "recipe.yaml").write_text("name: mine\n")
    assert " 65.0 " in evaluate(tmp_path / "run" / "masks", "--data", voc).stdout


def wrong_size(folder: Path) -> Path:
    write_label_map(folder / "2007_000039.png", np.zeros((6, 7), np.uint8))
    return folder


def wrong_label(folder: Path) -> Path:
    write_label_map(folder / "2007_000039.png", np.full((6, 8), 21, np.uint8))
    return folder


def incomplete(folder: Path) -> Path:
    (folder / "2007_000039.png").unlink()
    return folder


def misnamed(folder: Path) -> Path:
    for path in list(folder.iterdir()):
        path.rename(folder / f"mask_{path.name}")
    return folder


def hostile(folder: Path) -> Path:
    return zipped(folder, below="../../")


def damaged(folder: Path) -> Path:
    archive = zipped(folder)
    archive.write_bytes(archive.read_bytes()[:-30])
    return archive


def wrong_in_archive(folder: Path) -> Path:
    return zipped(wrong_label(folder))


WRONG = {
    "size": (wrong_size, "sem_seg/2007_000039.png': the prediction is (6, 7), the true mask (6, 8)"),
    "label": (wrong_label, "2007_000039.png': the prediction holds label 21, expected 0 to 20"),
    "missing": (incomplete, "lacks the label maps of 1 of the 2 images of VOC 2012 train: 2007_000039. Make"),
    "names": (misnamed, "no label map of the 2 images of VOC 2012 train; '2007_000032.png' would be the first"),
    "folder too high": (lambda folder: folder.parent, "/sem_seg'."),
    "nothing there": (lambda folder: folder / "x", "there is nothing at"),
    "climbing archive": (hostile, "tries to leave its folder: '../../2007_0000"),
    "damaged archive": (damaged, "sem_seg.zip' cannot be read"),
    "label in an archive": (wrong_in_archive, "sem_seg.zip/2007_000039.png': the prediction holds label 21"),
}


@pytest.mark.parametrize(("spoil", "fault"), WRONG.values(), ids=WRONG)
def test_wrong_label_maps_end_with_one_line(voc: Path, folder: Path, spoil: Any, fault: str) -> None:
    result = evaluate(spoil(folder), "--data", voc)
    assert result.exit_code == 2
    assert fault in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        ([], "which images are these label maps of? Give the data set"),
        (["--set", "localization.margin=0.1"], "does not look at 'localization.margin=0.1'. It looks at data.*"),
        (["--against", "table6"], "there is no score of seeds, which table6 compares"),
        (["--against", "table8"], "no table 'table8'"),
        (["--split", "vall"], "has no split 'vall'. Did you mean 'val'?"),
    ],
    ids=["no data", "other setting", "table of seeds", "no table", "no split"],
)
def test_bad_use_ends_with_one_line(voc: Path, folder: Path, words: list[str], fault: str) -> None:
    result = evaluate(folder, *(["--data", str(voc)] if words else []), *words)
    assert result.exit_code == 2
    assert fault in result.stderr


def test_a_run_is_shown_among_the_rows_of_the_paper(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    protocol = Protocol(dataset="VOC 2012", split="val", images=1449)
    score = Score(stage="predictions", class_names=("cat",), matrix=np.array([[3, 1], [0, 4]]), protocol=protocol)
    pipeline = SimpleNamespace(run_recipe=lambda *_, **__: [score])
    monkeypatch.setitem(sys.modules, "ktse.pipeline", pipeline)
    (tmp_path / "recipe.yaml").write_text("name: mine\n")
    result = CliRunner().invoke(app, ["evaluate", str(tmp_path), "--against", "table3"])
    assert result.exit_code == 0, result.output
    own = next(line for line in result.stdout.splitlines() if line.startswith(">"))
    assert own.split() == [">", "mine", "I", "77.5"]
    assert "BECO [45]" in result.stdout
    without = CliRunner().invoke(app, ["evaluate", str(tmp_path)])
    assert "BECO" not in without.stdout


def test_unknown_table_is_refused_before_anything_is_scored(asked: list[dict[str, Any]], tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("name: mine\n")
    result = CliRunner().invoke(app, ["evaluate", str(tmp_path), "--against", "table8"])
    assert (result.exit_code, asked) == (2, [])
    assert "no table 'table8'" in result.stderr


def test_a_run_has_its_splits_in_its_recipe(asked: list[dict[str, Any]], tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("name: mine\n")
    result = evaluate(tmp_path, "--split", "val")
    assert (result.exit_code, asked) == (2, [])
    assert "--set data.score_split=NAME" in result.stderr
