"""Scores in percent, from one matrix, kept on disk with their protocol."""

import json

import numpy as np
import pytest

from ktse.artifacts import RunDirectory, read_json
from ktse.errors import DataError
from ktse.evaluation.protocol import Protocol
from ktse.evaluation.score import Score, read_scores, write_scores

PROTOCOL = Protocol(dataset="memory", split="train", images=4, threshold=0.3, threshold_source="masks")
MATRIX = np.array([[50, 10, 0], [5, 25, 0], [0, 15, 5]])


def score(matrix=MATRIX, names=("cat", "dog"), **more):
    return Score(stage="seeds", class_names=names, matrix=matrix, protocol=PROTOCOL, **more)


def test_values_by_hand():
    # unions: background 65, cat 55, dog 20
    assert score().miou == pytest.approx(100 * (50 / 65 + 25 / 55 + 5 / 20) / 3)
    assert score().over_expansion == pytest.approx(100 * (25 / 55 + 0) / 2)
    assert score().under_activation == pytest.approx(100 * (5 / 55 + 15 / 20) / 2)
    assert list(score().per_class) == ["background", "cat", "dog"]
    assert score().per_class["dog"] == {"iou": 25.0, "over_expansion": 0.0, "under_activation": 75.0}


def test_class_that_does_not_occur_has_no_value():
    values = score(np.pad(MATRIX, (0, 1)), ("cat", "dog", "cow"))
    assert values.per_class["cow"] == {"iou": None, "over_expansion": None, "under_activation": None}
    assert values.miou == pytest.approx(score().miou)


def test_round_trip_through_a_file(tmp_path):
    run = RunDirectory(tmp_path)
    assert read_scores(run) == []
    write_scores(run, [score(baseline=41.0, fully_supervised=75.5), score()], device="cpu", processes=2)
    first, second = read_scores(run)
    np.testing.assert_array_equal(first.matrix, MATRIX)
    assert (first.stage, first.class_names, first.protocol) == ("seeds", ("cat", "dog"), PROTOCOL)
    assert (first.baseline, first.fully_supervised) == (41.0, 75.5)
    assert (second.baseline, second.fully_supervised) == (None, None)


def test_trust_is_kept_and_older_files_have_none(tmp_path):
    run = RunDirectory(tmp_path)
    write_scores(run, [score(trusted_accuracy=91.25, trusted_share=50.0)])
    (kept,) = read_scores(run)
    assert (kept.trusted_accuracy, kept.trusted_share) == (91.25, 50.0)
    old = {name: value for name, value in score().to_json().items() if not name.startswith("trusted")}
    run.scores.write_text(json.dumps({"scores": [old]}))
    (kept,) = read_scores(run)
    assert (kept.trusted_accuracy, kept.trusted_share) == (None, None)


def test_file_holds_what_readers_look_for(tmp_path):
    run = RunDirectory(tmp_path)
    write_scores(run, [score(baseline=41.0)])
    content = read_json(run.scores)
    assert content.keys() == {"scores", "created", "command", "commit", "machine"}
    (row,) = content["scores"]
    assert {"stage", "miou", "over_expansion", "under_activation", "per_class", "baseline", "fully_supervised",
            "protocol"} <= row.keys()  # fmt: skip
    assert row["miou"] == pytest.approx(score().miou, abs=1e-3)
    assert row["protocol"]["threshold_source"] == "masks"


def test_empty_matrix_is_strict_json():
    values = score(np.zeros((3, 3), np.int64)).to_json()
    assert values["miou"] is None
    json.dumps(values, allow_nan=False)


GOOD = score().to_json()


@pytest.mark.parametrize(
    "values",
    [
        None,
        {},
        GOOD | {"matrix": [[1]]},
        GOOD | {"matrix": "no"},
        GOOD | {"matrix": [[-1, 0, 0]] * 3},
        GOOD | {"per_class": None},
        GOOD | {"protocol": {}},
        GOOD | {"matrix": [[10**30, 0, 0]] * 3},
    ],
    ids=["nothing", "empty", "small matrix", "text", "negative", "no classes", "no protocol", "too large"],
)
def test_damaged_score_names_the_file(tmp_path, values):
    run = RunDirectory(tmp_path)
    run.scores.write_text(json.dumps({"scores": [values]}))
    with pytest.raises(DataError, match=r"scores\.json"):
        read_scores(run)


def test_file_without_scores(tmp_path):
    run = RunDirectory(tmp_path)
    run.scores.write_text("[]")
    with pytest.raises(DataError, match="holds no scores"):
        read_scores(run)
