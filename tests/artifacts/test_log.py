"""A log stays readable after a process was killed in the middle of a line."""

import json

import pytest

from ktse.artifacts import append_log, read_log
from ktse.errors import InputError


def test_lines_are_there_at_once_and_in_order(tmp_path):
    path = tmp_path / "run" / "log.jsonl"
    for step in range(3):
        append_log(path, {"step": step, "losses": {"total": step / 2}})
        assert len(path.read_text().splitlines()) == step + 1
    assert [record["step"] for record in read_log(path)] == [0, 1, 2]


def test_line_after_a_torn_one_is_kept(tmp_path):
    path = tmp_path / "log.jsonl"
    append_log(path, {"step": 0})
    with path.open("ab") as file:
        file.write(b'{"step": 1, "lo')
    append_log(path, {"step": 2})
    assert read_log(path) == [{"step": 0}, {"step": 2}]


def test_lines_that_are_no_records_are_left_out(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'5\n{"step": 1}\n\xff\xff\n' + b"[" * 5000 + b"\n")
    assert read_log(path) == [{"step": 1}]


def test_every_line_is_strict_json_at_any_depth(tmp_path):
    path = tmp_path / "log.jsonl"
    append_log(path, {"losses": {"total": float("nan"), "each": [1.0, float("-inf")], "pair": (float("inf"), 2)}})

    def refuse(constant):
        raise ValueError(constant)

    assert json.loads(path.read_text(), parse_constant=refuse) == {
        "losses": {"total": None, "each": [1.0, None], "pair": [None, 2]}
    }


def test_missing_log_is_empty(tmp_path):
    assert read_log(tmp_path / "log.jsonl") == []


def test_log_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "run").write_text("a file where a folder should be")
    with pytest.raises(InputError, match=r"cannot write '.*log\.jsonl'"):
        append_log(tmp_path / "run" / "log.jsonl", {})
