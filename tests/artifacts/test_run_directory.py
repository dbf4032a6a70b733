"""Every path stays below its folder, and only one process writes."""

import subprocess
import sys

import pytest

from ktse.artifacts import RunDirectory, read_json
from ktse.errors import DataError, InputError

LAYOUT = {
    "localizer": "localizer",
    "irnet": "irnet",
    "segmenter": "segmenter",
    "predictions": "predictions",
    "scores": "scores.json",
    "report": "report.html",
    "recipe": "recipe.yaml",
    "manifest": "manifest.json",
}
BY_IMAGE = {
    "cams": "cams/a/b.c.npz",
    "seed": "seeds/a/b.c.png",
    "ir_label": "ir_labels/a/b.c.png",
    "mask": "masks/a/b.c.png",
    "confidence": "confidence/a/b.c.png",
    "prediction": "predictions/a/b.c.png",
}


@pytest.mark.parametrize(("name", "path"), LAYOUT.items(), ids=LAYOUT)
def test_layout(tmp_path, name, path):
    assert getattr(RunDirectory(tmp_path), name) == tmp_path / path


@pytest.mark.parametrize(("name", "path"), BY_IMAGE.items(), ids=BY_IMAGE)
def test_layout_by_image(tmp_path, name, path):
    assert getattr(RunDirectory(tmp_path), name)("a/b.c") == tmp_path / path


def test_layout_of_label_maps_between_two_steps(tmp_path):
    run = RunDirectory(tmp_path)
    assert run.step_mask(2, "crf", "a/b.c") == run.step(2, "crf") / "a" / "b.c.png"
    assert run.step(2, "crf") == tmp_path / "steps" / "2_crf"
    with pytest.raises(DataError, match="cannot be the id"):
        run.step_mask(1, "par", "../x")


def test_making_one_touches_nothing(tmp_path):
    run = RunDirectory(tmp_path / "run")
    assert run.log().name == "log.jsonl"
    assert run.log(3).name == "log.rank3.jsonl"
    assert not run.root.exists()


@pytest.mark.parametrize(
    "id_", ["", "..", ".", "../x", "a/../../x", "/etc/passwd", "a//b", "a/", "./a", "a\\b", "a\0b"], ids=repr
)
def test_ids_that_lead_elsewhere(tmp_path, id_):
    with pytest.raises(DataError, match="cannot be the id"):
        RunDirectory(tmp_path).mask(id_)


@pytest.mark.parametrize("id_", ["a..b", "...", "x y", "ä%2F", ".hidden"])
def test_ids_that_only_look_odd(tmp_path, id_):
    assert RunDirectory(tmp_path).mask(id_).parent == tmp_path / "masks"


def test_unknown_stage_names_the_near_one(tmp_path):
    with pytest.raises(InputError, match="Did you mean 'cams'"):
        RunDirectory(tmp_path).stage("cam")


def test_file_in_place_of_the_folder(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(InputError, match="is a file"):
        RunDirectory(tmp_path / "run")


HOLDER = """
import sys
from pathlib import Path
from ktse.artifacts import RunDirectory
with RunDirectory(Path(sys.argv[1])).lock():
    print("locked", flush=True)
    sys.stdin.read()
"""


def test_second_process_is_refused_until_the_first_is_gone(tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout.readline() == "locked\n"
        with pytest.raises(InputError, match=f"another process writes in .*process {holder.pid}"):
            RunDirectory(tmp_path).lock().__enter__()
        holder.kill()
    with RunDirectory(tmp_path).lock():
        assert read_json(tmp_path / ".writer.json")["process"] != holder.pid


def test_lock_can_be_entered_again_and_cleans_up(tmp_path):
    run = RunDirectory(tmp_path / "run")
    with run.lock():
        (run.root / ".x.png.00.ktse-tmp").write_bytes(b"")
        with run.lock():
            assert (run.root / ".writer.json").exists()
        assert (run.root / ".writer.json").exists()
        with pytest.raises(InputError, match="another process"), RunDirectory(run.root).lock():
            pass
    assert not (run.root / ".writer.json").exists()
    with run.lock():
        assert not (run.root / ".x.png.00.ktse-tmp").exists()


def test_a_folder_below_with_its_own_writer_is_left_alone(tmp_path):
    """As when `ktse predict RUN IMAGES -o RUN/new` goes on while another command begins on RUN."""
    run, below = RunDirectory(tmp_path), RunDirectory(tmp_path / "new")
    with below.lock():
        half, dead = below.root / ".a.png.00.ktse-tmp", run.root / "baseline" / "cams" / ".b.npz.00.ktse-tmp"
        dead.parent.mkdir(parents=True)
        for path in (half, dead):
            path.write_bytes(b"half")
        with run.lock():
            assert half.exists()
            assert not dead.exists()
    with below.lock():
        assert not half.exists(), "its own next writer removes it"


def test_lock_is_released_when_work_fails(tmp_path):
    with pytest.raises(ZeroDivisionError), RunDirectory(tmp_path).lock():
        raise ZeroDivisionError
    with RunDirectory(tmp_path).lock():
        pass


def test_refused_even_when_the_holder_has_no_name(tmp_path):
    with RunDirectory(tmp_path).lock():
        (tmp_path / ".writer.json").write_text("{}")
        with pytest.raises(InputError, match=r"another process writes in '[^']*'\."), RunDirectory(tmp_path).lock():
            pass


def test_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write in"), RunDirectory(tmp_path / "file" / "run").lock():
        pass
