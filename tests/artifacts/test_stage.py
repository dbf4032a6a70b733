"""A rerun does the rest; a change upstream removes what is stale, and only that."""

import json
from collections import OrderedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktse.artifacts import RunDirectory, stage_key, write_bytes_atomic
from ktse.config import Recipe
from ktse.errors import DataError, InputError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES, VALUES)
def test_key_is_equal_exactly_for_equal_json(one, other):
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (stage_key(one) == stage_key(other)) == same


def test_key_does_not_depend_on_the_order_of_names():
    assert stage_key(OrderedDict(a=1, b=2)) == stage_key(OrderedDict(b=2, a=1))
    assert stage_key("a", "b") != stage_key("b", "a")
    assert stage_key("ab", "c") != stage_key("a", "bc")


def test_key_takes_sections_of_a_recipe():
    recipe = Recipe()
    assert stage_key(recipe.refinement) == stage_key(recipe.refinement.model_dump(mode="json"))


def test_key_refuses_what_has_no_stable_text():
    with pytest.raises(TypeError, match="object"):
        stage_key(object())
    with pytest.raises(ValueError, match="JSON"):
        stage_key(float("nan"))


@pytest.fixture
def run(tmp_path):
    return RunDirectory(tmp_path / "run")


def test_a_stage_from_start_to_end(run):
    stage = run.stage("cams")
    assert stage.key is None
    assert not stage.is_done("k1")
    assert stage.begin("k1") is None
    assert stage.key == "k1"
    assert not stage.is_done("k1")
    stage.finish("k1")
    assert stage.is_done("k1")
    assert not stage.is_done("k2")
    state = json.loads((run.root / "cams" / "stage.json").read_text())
    assert state["status"] == "done"
    assert state["started"] <= state["finished"]


def test_what_was_adopted_is_done_whatever_the_key(run):
    stage = run.stage("localizer")
    assert stage.origin is None
    stage.begin("of the file")
    assert stage.origin is None, "not there yet"
    stage.finish("of the file", origin="x.pth")
    assert (stage.key, stage.origin) == ("of the file", "x.pth")
    assert stage.is_done("of a training")
    assert "have changed" in stage.begin("of a training")
    stage.finish("of a training")
    assert stage.origin is None
    assert not stage.is_done("of another training")


def test_rerun_with_the_same_key_keeps_finished_images(run):
    stage = run.stage("cams")
    stage.begin("k1")
    write_bytes_atomic(run.cams("deep/a.b"), b"x")
    started = json.loads((stage.folder / "stage.json").read_text())["started"]
    assert stage.begin("k1") is None
    assert stage.done_ids() == {"deep/a.b"}
    assert json.loads((stage.folder / "stage.json").read_text())["started"] == started


def test_an_image_is_done_when_all_its_files_are_there(run):
    stage = run.stage("masks")
    stage.begin("k1")
    for id_ in ("a", "b"):
        write_bytes_atomic(run.mask(id_), b"x")
    write_bytes_atomic(run.confidence("b"), b"x")
    write_bytes_atomic(run.confidence("c"), b"x")
    assert stage.done_ids() == {"b"}


def test_a_finished_stage_that_has_lost_a_file_is_not_done(run):
    stage = run.stage("masks")
    stage.begin("k1")
    for id_ in ("a", "b"):
        write_bytes_atomic(run.mask(id_), b"x")
        write_bytes_atomic(run.confidence(id_), b"x")
    stage.finish("k1")
    assert stage.is_done("k1", ids=["a", "b"])
    run.confidence("b").unlink()
    assert not stage.is_done("k1", ids=["a", "b"])
    assert stage.is_done("k1", ids=["a"]), "nobody waits for the other"


def test_nothing_is_done_where_nothing_is(run):
    assert run.stage("masks").done_ids() == set()


def test_other_key_removes_what_the_stage_owns_and_says_so(run):
    stage = run.stage("masks")
    stage.begin("k1")
    for path in (run.mask("a"), run.confidence("a"), run.seed("a")):
        write_bytes_atomic(path, b"x")
    (stage.folder / "notes.txt").write_text("mine")
    stage.finish("k1")
    reason = stage.begin("k2")
    assert "'masks'" in reason
    assert "2 files were removed" in reason
    assert stage.done_ids() == set()
    assert run.seed("a").exists()
    assert (stage.folder / "notes.txt").exists()
    assert stage.key == "k2"


def test_by_products_are_removed_when_stale_but_nothing_waits_for_them(run):
    stage = run.stage("masks")
    stage.begin("k1")
    for path in (run.mask("a"), run.confidence("a"), run.mask("b"), run.confidence("b"), run.step_mask(1, "irn", "b")):
        write_bytes_atomic(path, b"x")
    assert stage.done_ids() == {"a", "b"}
    assert stage.begin("k1") is None
    assert run.step_mask(1, "irn", "b").exists()
    assert "5 files were removed" in stage.begin("k2")
    assert not run.step_mask(1, "irn", "b").exists()


def test_crash_while_removing_leaves_nothing_that_looks_done(run, monkeypatch):
    stage = run.stage("cams")
    stage.begin("k1")
    for id_ in ("a", "b"):
        write_bytes_atomic(run.cams(id_), b"x")
    stage.finish("k1")
    monkeypatch.setattr("pathlib.Path.unlink", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        stage.begin("k2")
    monkeypatch.undo()
    assert not stage.is_done("k1")
    assert not stage.is_done("k2")
    assert stage.begin("k1") is not None  # even the old key is not trusted any more
    assert stage.done_ids() == set()


def test_training_files_are_removed_when_stale(run):
    stage = run.stage("localizer")
    stage.begin("k1")
    write_bytes_atomic(run.localizer / "last.safetensors", b"x")
    assert stage.begin("k1") is None
    assert (run.localizer / "last.safetensors").exists()
    assert "1 files" in stage.begin("k2")
    assert not (run.localizer / "last.safetensors").exists()


def test_files_of_unknown_origin_are_not_touched(run):
    write_bytes_atomic(run.cams("a"), b"x")
    with pytest.raises(InputError, match="unknown origin"):
        run.stage("cams").begin("k1")
    assert run.cams("a").exists()


def test_localizer_folder_copied_from_elsewhere_is_accepted(run, tmp_path):
    run.stage("localizer").begin("k1")
    write_bytes_atomic(run.localizer / "last.safetensors", b"x")
    run.stage("localizer").finish("k1")
    other = RunDirectory(tmp_path / "other")
    other.root.mkdir()
    run.localizer.rename(other.localizer)
    assert other.stage("localizer").is_done("k1")
    assert other.stage("cams").begin("k2") is None


def test_training_has_no_files_by_image(run):
    with pytest.raises(InputError, match="training"):
        run.stage("segmenter").done_ids()


@pytest.mark.parametrize("content", ["[]", '{"key": 5}', "{"], ids=["list", "no key", "torn"])
def test_damaged_state_is_named(run, content):
    stage = run.stage("cams")
    stage.folder.mkdir(parents=True)
    (stage.folder / "stage.json").write_text(content)
    with pytest.raises(DataError, match=r"stage\.json"):
        stage.begin("k1")
