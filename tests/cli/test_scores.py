"""The table of scores: every number in its column, and what is not there stays empty."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from ktse.cli.scores import placing_table, scores_table, show_placing, show_scores
from ktse.config import Recipe
from ktse.evaluation.protocol import Protocol
from ktse.evaluation.published import place, published_table
from ktse.evaluation.score import Score

PROTOCOL = Protocol(dataset="mine", split="val", images=2, threshold=0.3, threshold_source="fixed")
# one class: IoU of background 3/4, of the class 4/5; 1 of its union of 5 is a false positive
SEEDS = Score(stage="seeds", class_names=("cat",), matrix=np.array([[3, 1], [0, 4]]), protocol=PROTOCOL, baseline=70.25)
MASKS = Score(stage="masks", class_names=("cat",), matrix=np.array([[4, 0], [0, 4]]), protocol=PROTOCOL)


def test_numbers_stand_in_their_columns() -> None:
    table = scores_table([SEEDS, MASKS])
    cells = {str(column.header).replace("\n", " "): list(column.cells) for column in table.columns}
    assert cells == {
        "stage": ["seeds, fixed threshold", "pseudo masks"],
        "mIoU": ["77.5", "100.0"],
        "over- expansion": ["20.0", "0.0"],
        "under- activation": ["0.0", "0.0"],
        "baseline": ["70.2", ""],
    }


def test_ir_labels_have_no_score_that_could_be_compared() -> None:
    labels = Score(
        stage="ir_labels",
        class_names=("cat",),
        matrix=np.array([[3, 1], [0, 4]]),
        protocol=Protocol(dataset="mine", split="val", images=2, labelled_only=True),
        trusted_accuracy=87.5,
        trusted_share=40.0,
    )
    table = scores_table([labels, MASKS])
    cells = {str(column.header).replace("\n", " "): list(column.cells) for column in table.columns}
    assert (cells["mIoU"], cells["over- expansion"]) == (["", "100.0"], ["", "0.0"])
    assert (cells["trusted correct"], cells["trusted share"]) == (["87.5", ""], ["40.0", ""])
    assert "baseline" not in cells


def test_table_of_all_columns_fits_a_narrow_terminal() -> None:
    full = replace(SEEDS, fully_supervised=80.0, trusted_accuracy=90.0, trusted_share=50.0)
    console = Console(width=80, file=io.StringIO())
    console.print(scores_table([full, MASKS]))
    assert "…" not in console.file.getvalue()


def test_report_is_named_when_it_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show_scores([SEEDS], tmp_path)
    (tmp_path / "report.html").write_text("")
    show_scores([], tmp_path)
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split()[2:] == ["threshold", "77.5", "20.0", "0.0", "70.2"]
    assert lines[3:] == [
        "seeds, fixed threshold: mine val, 2 images; threshold 0.3 fixed",
        "nothing was scored: the data have no true masks.",
        f"report: {tmp_path / 'report.html'}",
    ]


def test_run_stands_among_the_rows_of_the_paper(capsys: pytest.CaptureFixture[str]) -> None:
    """77.5 % is above everything in the table; it is marked, since the data are others."""
    predictions = Score(stage="predictions", class_names=("cat",), matrix=SEEDS.matrix, protocol=PROTOCOL)
    show_placing(place(published_table("table3"), [predictions], Recipe(name="mine")))
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert (
        lines[1]
        == "table3 of the paper: Segmentation of VOC, ResNet backbone. mIoU in percent on VOC 2012; the best first."
    )
    assert lines[2].split() == ["method", "sup", "Val", "(val)", "Test", "(test)"]
    assert lines[3].split() == [">", "mine", "I", "77.5*"]
    assert lines[4].split() == ["KTSE", "(the", "paper)", "I", "73.0", "72.9"]
    assert lines[5].split() == ["OCR", "[15]", "CVPR23", "I", "72.7", "72.0"]
    assert lines[-4:-1] == [
        "> mine, Val: mine val, 2 images; threshold 0.3 fixed",
        "* not as in the paper: Val: data mine, in the paper VOC 2012",
        "* not as in the paper: Val: 2 images, in the paper 1,449",
    ]
    assert lines[-1].startswith("The test split")


def test_as_published_has_no_mark_and_a_dash_stays_a_dash() -> None:
    protocol = Protocol(dataset="VOC 2012", split="train", images=1464, threshold=0.3, threshold_source="masks")
    seeds = replace(SEEDS, protocol=protocol)
    table = placing_table(place(published_table("table1"), [seeds], Recipe(name="mine")))
    assert [str(column.header) for column in table.columns] == ["", "method", "", "Seed (train)", "w/ IRN (train)"]
    cells = [list(column.cells) for column in table.columns]
    assert [column[0] for column in cells] == [">", "mine", "", "77.5", ""]
    assert cells[4][cells[1].index(r"FPR \[6]")] == "-"
