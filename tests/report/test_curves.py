"""Loss curves against a log written by hand."""

import base64

import numpy as np
import pytest

from ktse.report.curves import Curve, curve_uri, loss_curves


def line(epoch, step, stage="localizer", **losses):
    return {"stage": stage, "epoch": epoch, "step": step, "losses": losses}


def test_curves_by_training_total_first():
    curves = loss_curves([line(0, 0, classification=1.0, total=2.0), line(0, 0, "segmenter", total=3.0)])
    assert [(curve.stage, curve.name) for curve in curves] == [
        ("localizer", "total"), ("localizer", "classification"), ("segmenter", "total")
    ]  # fmt: skip


def test_epochs_of_different_length():
    log = [line(0, 0, total=5.0), line(0, 1, total=4.0), *(line(1, step, total=3.0) for step in range(4))]
    assert loss_curves(log)[0].epochs.tolist() == [0, 0.5, 1, 1.25, 1.5, 1.75]


def test_epoch_that_was_stopped_is_as_long_as_the_others():
    log = [*(line(0, step, total=3.0) for step in range(4)), line(1, 0, total=2.0), line(1, 1, total=2.0)]
    assert loss_curves(log)[0].epochs[-1] == 1.25


def test_step_that_was_done_again_counts_once():
    log = [line(0, 0, total=5.0), line(0, 1, total=9.0), line(0, 1, total=4.0), line(0, 2, total=3.0)]
    assert loss_curves(log)[0].values.tolist() == [5, 4, 3]


def test_loss_that_begins_later_has_only_its_own_points():
    log = [line(0, 0, total=5.0), line(1, 0, total=4.0, inter_class=0.5), line(2, 0, total=3.0, inter_class=0.25)]
    inter_class = loss_curves(log)[1]
    assert inter_class.epochs.tolist() == [1, 2]
    assert inter_class.values.tolist() == [0.5, 0.25]


def test_other_lines_are_passed_over():
    assert loss_curves([{"stage": "cams", "event": "finished"}, {"losses": 5}]) == []


def test_long_training_is_averaged():
    (curve,) = loss_curves(line(0, step, total=float(step)) for step in range(3000))
    assert len(curve.values) == 150
    assert curve.values[0] == pytest.approx(np.arange(20).mean())
    assert curve.values.mean() == pytest.approx(np.arange(3000).mean())


def test_summary_leaves_out_what_is_not_finite():
    curve = loss_curves([line(0, 0, total=None), line(0, 1, total=2.0), line(0, 2, total=1.0)])[0]
    assert curve.summary == "localizer: total from 2 to 1 in 0.667 epochs"
    assert loss_curves([line(0, 0, total=None)])[0].summary == "localizer: total, no finite value"


def drawing(curve):
    return base64.b64decode(curve_uri(curve).removeprefix("data:image/svg+xml;base64,")).decode()


def test_drawing_is_named_and_always_the_same():
    curve = Curve("localizer", "inter_class", np.arange(4.0), np.array([3.0, 2.0, np.nan, -1.0]))
    assert ">inter class</text>" in drawing(curve)
    assert drawing(curve) == drawing(curve)


def test_one_point_can_be_drawn():
    assert "</svg>" in drawing(Curve("localizer", "total", np.zeros(1), np.array([np.nan])))
