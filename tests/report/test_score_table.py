"""Rows have names, and columns are there when they say something."""

import numpy as np
import pytest

from ktse.evaluation.protocol import Protocol
from ktse.evaluation.score import Score
from ktse.report.score_table import score_title, shown_columns


def score(stage="masks", *, trusted_share=None, baseline=None, **protocol):
    return Score(
        stage=stage,
        class_names=("cat",),
        matrix=np.array([[3, 1], [0, 4]]),
        protocol=Protocol(dataset="mine", split="val", images=2, **protocol),
        trusted_share=trusted_share,
        baseline=baseline,
    )


TITLES = {
    "seeds, best threshold": score("seeds", threshold=0.2, threshold_source="masks"),
    "seeds, fixed threshold": score("seeds", threshold=0.2, threshold_source="fixed"),
    "IR labels": score("ir_labels"),
    "after IRN, CRF": score("steps", refinement=("irn", "crf")),
    "pseudo masks": score("masks", refinement=("irn",)),
    "predictions": score("predictions"),
    "of a friend": score("of a friend"),
}


@pytest.mark.parametrize(("title", "row"), TITLES.items(), ids=TITLES)
def test_titles(title, row):
    assert score_title(row) == title


def test_columns_without_a_number_are_left_out():
    always = ["mIoU", "over-expansion", "under-activation"]
    assert list(shown_columns([score()])) == always
    columns = shown_columns([score(baseline=40.0), score(trusted_share=0.0)])
    assert list(columns) == [*always, "baseline", "trusted share"]
    assert [column(score(baseline=40.0)) for column in columns.values()] == [77.5, 20.0, 0.0, 40.0, None]


def test_scores_of_labelled_pixels_are_not_compared():
    partial = score("ir_labels", trusted_share=40.0, labelled_only=True)
    assert [column(partial) for column in shown_columns([partial]).values()] == [None, None, None, 40.0]
