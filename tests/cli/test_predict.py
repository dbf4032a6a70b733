"""`ktse predict`: where images, settings and masks come from and go to, and how it ends."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import ktse
from ktse.artifacts import RunDirectory
from ktse.cli.main import app
from ktse.config import Recipe, replace
from ktse.data.classes import VOC_CLASSES, Classes
from ktse.data.image_io import read_label_map
from ktse.segmentation.segmenter import Segmenter, build_network
from ktse.segmentation.segmenter_file import write_segmenter
from ktse.segmentation.train import segmenter_file

RECIPE = ktse.load_recipe("demo")
SHAPES = ktse.Shapes("val", count=1).classes


def make_model(path: Path, classes: Classes = SHAPES) -> Path:
    network = build_network(RECIPE.segmentation, num_labels=classes.num_labels, weights=None)
    write_segmenter(path, Segmenter(network, classes, RECIPE))
    return path


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return make_model(tmp_path / "model.safetensors")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    (tmp_path / "photos" / "sub").mkdir(parents=True)
    for number, name in enumerate(("a.png", "sub/b.png")):
        pixels = np.random.default_rng(number).integers(0, 256, (20, 25, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / name)
    return tmp_path / "photos"


def predict(*words: object) -> Any:
    return CliRunner().invoke(app, ["predict", *map(str, words)])


def refused(result: Any) -> str:
    """Return the one line of an error that the person at the keyboard can mend."""
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1), result.output
    return result.stderr


def masks(out: Path) -> list[str]:
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*.png"))


def test_a_folder(model: Path, photos: Path, tmp_path: Path) -> None:
    result = predict(model, photos, "-o", tmp_path / "out")
    assert (result.exit_code, result.stdout) == (0, f"predictions: {tmp_path / 'out'}\n"), result.output
    assert masks(tmp_path / "out") == ["a.png", "sub/b.png"]
    image = np.asarray(Image.open(photos / "a.png"))
    assert np.array_equal(read_label_map(tmp_path / "out" / "a.png"), ktse.load(model).predict(image))
    again = predict(model, photos, "-o", tmp_path / "out")
    assert again.stdout == f"predictions: {tmp_path / 'out'} (2 of 2 were there already)\n"


def test_one_image_and_a_list(model: Path, photos: Path, tmp_path: Path) -> None:
    assert predict(model, photos / "sub" / "b.png", "-o", tmp_path / "one").exit_code == 0
    assert masks(tmp_path / "one") == ["b.png"]
    (photos / "list.txt").write_text("sub/b.png\n")
    assert predict(model, photos / "list.txt", "-o", tmp_path / "listed").exit_code == 0
    assert masks(tmp_path / "listed") == ["sub/b.png"]


def test_masks_may_lie_below_the_images(model: Path, photos: Path) -> None:
    for _ in range(2):
        assert predict(model, photos, "-o", photos / "masks").exit_code == 0
    assert masks(photos / "masks") == ["a.png", "sub/b.png"]


def test_settings_probabilities_and_overwriting(model: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert predict(model, photos, "-o", out).exit_code == 0
    changes = ("--set", "segmentation.scales=[0.5, 1]", "--set", "runtime.inference_batch=3")
    assert "--overwrite" in refused(predict(model, photos, "-o", out, *changes))
    result = predict(model, photos, "-o", out, *changes, "--overwrite", "--probabilities")
    assert result.exit_code == 0, result.output
    trained = ktse.load(model)
    seen = trained.with_settings_of(replace(trained.recipe, segmentation={"scales": (0.5, 1.0)}))
    expected = seen.scores(np.asarray(Image.open(photos / "a.png"))[None])[0]
    with np.load(out / "a.npz") as file:
        np.testing.assert_allclose(file["probabilities"], expected, atol=1e-3)


def test_broken_images_end_with_2_when_the_others_are_done(model: Path, photos: Path, tmp_path: Path) -> None:
    (photos / "c.jpg").write_text("this is a text")
    assert "1 of 3 images failed" in refused_after_progress(predict(model, photos, "-o", tmp_path / "out"))
    assert masks(tmp_path / "out") == ["a.png", "sub/b.png"]


def refused_after_progress(result: Any) -> str:
    assert result.exit_code == 2, result.output
    return result.stderr.splitlines()[-1]


def test_large_images_are_refused_by_a_setting(model: Path, photos: Path, tmp_path: Path) -> None:
    result = predict(model, photos / "a.png", "-o", tmp_path / "out", "--set", "data.max_pixels=499")
    line = refused_after_progress(result)
    assert "25 x 20 = 500 pixels, at most 499 are read" in line
    assert "raise data.max_pixels" in line


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["nowhere.safetensors", "photos", "-o", "out"], "no trained segmenter at 'nowhere.safetensors'. Train it"),
        (["photos", "photos", "-o", "out"], "no trained segmenter at 'photos/segmenter/last.safetensors'"),
        (["photos/a.png", "photos", "-o", "out"], "'photos/a.png' is not a segmenter of ktse"),
        (["model.safetensors"], "which images? 'model.safetensors' knows none. Give them: ktse predict MODEL IMAGES"),
        (["model.safetensors", "-o", "out"], "which images?"),
        (["model.safetensors", "photos"], "with IMAGES it has to be said where the masks go. Give a folder: -o OUT"),
        (["photos", "--probabilities", "--split", "test"], "with --split, --probabilities it has to be said where"),
        (["model.safetensors", "nothing", "-o", "out"], "there is no image, folder or list 'nothing'"),
        (["model.safetensors", "empty", "-o", "out"], "there are no images in 'empty'"),
        (["model.safetensors", "photos", "-o", "photos"], "no images in 'photos' beside those in photos"),
        (["model.safetensors", "photos", "-o", "model.safetensors"], "'model.safetensors' is a file. Give a folder"),
        (["model.safetensors", "photos", "-o", "out", "--data", "x"], "IMAGES and --data are two sources of images"),
        (["model.safetensors", "photos", "-o", "out", "--set", "localization.margin=1"], "does not look at local"),
        (["model.safetensors", "photos", "-o", "out", "--set", "segmentation.epochs=1"], "does not look at segm"),
        (["model.safetensors", "photos", "-o", "out", "--set", "segmentation.scale=1"], "mean 'segmentation.scales'?"),
        (["model.safetensors", "photos", "-o", "out", "--set", "segmentation.scales=[]"], "segmentation.scales"),
        (["model.safetensors", "photos", "-o", "out", "--set", "segmentation.scales=[0]"], "scales[0] is 0, but"),
        (["model.safetensors", "photos", "-o", "out", "--voc", "x.zip"], "Let it end in .tar.gz or .tgz"),
        (["model.safetensors", "photos", "-o", "out", "--voc", "x.tgz"], "VOC's server scores its 20 classes"),
        (["photos"], "no run at 'photos'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_wrong_use_is_one_line(
    model: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], expected: str
) -> None:
    monkeypatch.chdir(model.parent)
    Path("empty").mkdir()
    assert expected in refused(predict(*words))
    assert masks(photos) == ["a.png", "sub/b.png"]
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["nothing", "-o", "out"], "there is no image, folder or list 'nothing'"),
        (["photos", "-o", "model.safetensors"], "'model.safetensors' is a file. Give a folder"),
        (["photos", "-o", "model.safetensors/deep/out"], "model.safetensors' is a file. Give a folder"),
        (["photos", "-o", "locked/out"], "cannot write in"),
        (["photos", "-o", "out", "--set", "segmentation.inference_size=abc"], "is 'abc', but should be a whole number"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_cheap_checks_come_before_the_model_is_loaded(
    model: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], expected: str
) -> None:
    def load(path: Path) -> None:
        raise AssertionError(f"{path} is loaded")

    monkeypatch.chdir(model.parent)
    Path("locked").mkdir()
    monkeypatch.setattr("ktse.export.bundle.load", load)
    monkeypatch.setattr("os.access", lambda path, mode: Path(path).name != "locked")  # root may write anywhere
    assert expected in refused(predict(model, *words))
    assert not Path("out").exists()


def test_settings_may_fit_the_model_that_do_not_fit_the_default_recipe(tmp_path: Path, photos: Path) -> None:
    recipe = replace(RECIPE, segmentation={"tile_size": 4096})
    network = build_network(recipe.segmentation, num_labels=SHAPES.num_labels, weights=None)
    write_segmenter(tmp_path / "wide.safetensors", Segmenter(network, SHAPES, recipe))
    words = (tmp_path / "wide.safetensors", photos, "-o", tmp_path / "out", "--set", "segmentation.tile_overlap=2000")
    assert predict(*words).exit_code == 0


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run on Shapes with a segmenter that has learned nothing."""
    import yaml

    recipe = replace(RECIPE, data={"shapes_train": 3, "shapes_val": 2})
    make_model(segmenter_file(RunDirectory(tmp_path / "run")))
    (tmp_path / "run" / "recipe.yaml").write_text(yaml.safe_dump(recipe.model_dump(mode="json")))
    return tmp_path / "run"


def test_data_of_the_run_go_to_another_folder(run: Path, tmp_path: Path) -> None:
    for words, count in ((), 2), (("--split", "train"), 3):
        out = tmp_path / f"out {count}"
        result = predict(run, "-o", out, *words)
        assert result.exit_code == 0, result.output
        assert len(masks(out)) == count


def test_a_misspelt_split_of_the_run_is_not_replaced_by_the_training_images(run: Path, photos: Path) -> None:
    (photos / "train.csv").write_text("image,tags\na.png,cat\n")
    (photos / "val.csv").write_text("image,tags\nsub/b.png,cat\n")
    recipe = (run / "recipe.yaml").read_text()
    (run / "recipe.yaml").write_text(recipe.replace("kind: shapes", "kind: folder").replace(": val\n", ": vall\n"))
    words = (run, "-o", run / "out", "--data", photos)
    assert "no split 'vall', which data.val_split names. Did you mean 'val'?" in refused(predict(*words))
    assert predict(*words, "--split", "val").exit_code == 0
    assert masks(run / "out") == ["sub/b.png"]


def test_masks_of_a_split_have_the_size_of_its_images_however_they_are_seen(run: Path, photos: Path) -> None:
    Image.fromarray(np.zeros((48, 64, 3), np.uint8)).save(photos / "a.png")
    (photos / "train.csv").write_text("image,tags\na.png,cat\n")
    recipe = (run / "recipe.yaml").read_text()
    reduced = recipe.replace("kind: shapes", "kind: folder").replace("longest_side: null", "longest_side: 32")
    (run / "recipe.yaml").write_text(reduced)
    assert predict(run, "-o", run / "out", "--data", photos, "--split", "train").exit_code == 0
    assert read_label_map(run / "out" / "a.png").shape == (48, 64)


def test_without_images_and_folder_it_is_the_stage_of_the_run(asked: list[dict[str, Any]], run: Path) -> None:
    result = predict(run, "--data", "photos", "--set", "segmentation.mirror=true")
    assert result.stdout == f"predictions: {run / 'predictions'}\n", result.output
    (call,) = asked
    assert (call["stages"], call["data"], call["out"]) == (["predictions"], Path("photos"), run)
    recipe: Recipe = call["recipe"]
    assert recipe.segmentation.mirror
    assert "does not look at localization.margin" in refused(predict(run, "--set", "localization.margin=0.2"))


def test_voc_archive(photos: Path, tmp_path: Path) -> None:
    model = make_model(tmp_path / "voc.safetensors", VOC_CLASSES)
    archive = tmp_path / "ours.tgz"
    result = predict(model, photos, "-o", tmp_path / "out", "--voc", archive, "--competition", "comp5")
    assert result.exit_code == 0, result.output
    assert f"archive: {archive}" in result.stdout
    with tarfile.open(archive) as opened:
        assert [name.rpartition("/")[2] for name in opened.getnames()] == ["a.png", "b.png"]
        assert "results/VOC2012/Segmentation/comp5_test_cls/a.png" in opened.getnames()
    other = predict(model, photos, "-o", tmp_path / "other", "--voc", archive, "--competition", "comp4")
    assert "no competition 'comp4'" in refused(other)


def test_help_and_wrong_use_do_not_wait_for_torch() -> None:
    script = (
        "import sys; from ktse.cli.main import app\n"
        "for words in (['--help'], ['nowhere', '--probabilities'], ['nowhere', '--set', 'runtime.workers=1']):\n"
        "    app(['predict', *words], standalone_mode=False)\n"
        "print('LOADED', *sorted({'torch', 'PIL', 'cv2'} & set(sys.modules)))\n"
        "app(['predict', 'nowhere', 'no photos', '-o', 'out'], standalone_mode=False)\n"
        "print('LOADED', *sorted({'torch'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stderr.count("error:") == 3
    assert [line for line in ran.stdout.splitlines() if line.startswith("LOADED")] == ["LOADED"] * 2
