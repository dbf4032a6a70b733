"""Scores of what refinement makes on its way, against counts pixel by pixel."""

import numpy as np
import pytest

from ktse.artifacts import RunDirectory
from ktse.config import Recipe, replace
from ktse.data.image_io import read_confidence, read_label_map, write_confidence, write_label_map
from ktse.errors import DataError
from ktse.evaluation.refinement import score_ir_labels, score_masks, score_steps
from ktse.evaluation.run import score_label_maps
from reference.segmentation_scores_oracle import count_pairs

RECIPE = replace(Recipe(), name="mine", refinement={"steps": ("par", "irn", "crf"), "background_score": 0.4})


@pytest.fixture
def dataset(in_memory, make_masks):
    return in_memory(make_masks())


@pytest.fixture
def run(tmp_path):
    return RunDirectory(tmp_path / "run")


def random_labels(dataset, random_seed, ignored=0.0):
    generator = np.random.default_rng(random_seed)
    maps = []
    for index in range(len(dataset)):
        labels = generator.integers(0, 4, dataset.image(index).shape[:2]).astype(np.uint8)
        labels[generator.random(labels.shape) < ignored] = 255
        maps.append(labels)
    return maps


def write_ir_labels(run, dataset, maps):
    for id_, labels in zip(dataset.ids, maps, strict=True):
        write_label_map(run.ir_label(id_), labels)


def write_masks(run, dataset, maps, trusted):
    for id_, labels, region in zip(dataset.ids, maps, trusted, strict=True):
        write_label_map(run.mask(id_), labels)
        write_confidence(run.confidence(id_), region)


def pixels(dataset, maps):
    """(truth, label) of every pixel whose truth is known."""
    return [
        (int(truth), int(label))
        for index, labels in enumerate(maps)
        for truth, label in zip(dataset.mask(index).flat, labels.flat, strict=True)
        if truth != 255
    ]


def test_ir_labels_have_a_precision_and_a_coverage(run, dataset):
    maps = random_labels(dataset, 1, ignored=0.3)
    write_ir_labels(run, dataset, maps)
    score = score_ir_labels(dataset, run, RECIPE)
    known = pixels(dataset, maps)
    labelled = [(truth, label) for truth, label in known if label != 255]
    right = sum(truth == label for truth, label in labelled)
    assert score.trusted_accuracy == pytest.approx(100 * right / len(labelled))
    assert score.trusted_share == pytest.approx(100 * len(labelled) / len(known))
    assert score.matrix.sum() == len(labelled)
    assert (score.stage, score.protocol.labelled_only, score.protocol.threshold) == ("ir_labels", True, 0.3)


def test_ir_labels_that_label_nothing_have_no_precision(run, dataset):
    write_ir_labels(run, dataset, [np.full_like(dataset.mask(index), 255) for index in range(4)])
    score = score_ir_labels(dataset, run, RECIPE)
    assert (score.trusted_accuracy, score.trusted_share) == (None, 0)
    assert score.to_json()["trusted_accuracy"] is None


def test_masks_are_scored_as_ever_and_their_trusted_pixels_beside(run, dataset):
    maps = random_labels(dataset, 2)
    trusted = [np.random.default_rng(index).random(labels.shape) < 0.5 for index, labels in enumerate(maps)]
    write_masks(run, dataset, maps, trusted)
    score = score_masks(dataset, run, RECIPE)
    plain = score_label_maps(dataset, run.root / "masks", stage="masks", recipe=RECIPE)
    np.testing.assert_array_equal(score.matrix, plain.matrix)
    assert (score.stage, score.protocol) == (plain.stage, plain.protocol)
    known = pixels(dataset, maps)
    chosen = pixels(dataset, [np.where(region, labels, 99) for region, labels in zip(trusted, maps, strict=True)])
    chosen = [pair for pair in chosen if pair[1] != 99]
    assert score.trusted_accuracy == pytest.approx(100 * sum(truth == label for truth, label in chosen) / len(chosen))
    assert score.trusted_share == pytest.approx(100 * len(chosen) / len(known))


def test_maps_may_be_as_large_as_the_true_mask_whatever_the_default(run, dataset, monkeypatch):
    maps = random_labels(dataset, 2)
    write_masks(run, dataset, maps, [labels > 0 for labels in maps])
    write_ir_labels(run, dataset, maps)
    for read in (read_label_map, read_confidence):
        monkeypatch.setattr(read, "__kwdefaults__", {"max_pixels": 1})
    assert score_masks(dataset, run, RECIPE).matrix.sum() == len(pixels(dataset, maps))
    score_ir_labels(dataset, run, RECIPE)
    score_label_maps(dataset, run.root / "masks", stage="masks", recipe=RECIPE)


def test_every_step_but_the_last_has_its_score(run, dataset):
    by_step = {(1, "par"): random_labels(dataset, 3), (2, "irn"): random_labels(dataset, 4)}
    for (number, step), maps in by_step.items():
        for id_, labels in zip(dataset.ids, maps, strict=True):
            write_label_map(run.step_mask(number, step, id_), labels)
    first, second = score_steps(dataset, run, RECIPE)
    truth = np.stack([dataset.mask(index) for index in range(4)])
    np.testing.assert_array_equal(first.matrix, count_pairs(truth, np.stack(by_step[1, "par"]), 4))
    np.testing.assert_array_equal(second.matrix, count_pairs(truth, np.stack(by_step[2, "irn"]), 4))
    assert [score.stage for score in (first, second)] == ["steps", "steps"]
    assert [score.protocol.refinement for score in (first, second)] == [("par",), ("par", "irn")]
    assert [score.protocol.threshold for score in (first, second)] == [0.4, 0.25]
    run.step_mask(1, "par", dataset.ids[2]).unlink()
    assert [score.protocol.refinement for score in score_steps(dataset, run, RECIPE)] == [("par", "irn")]


@pytest.mark.parametrize("steps", [(), ("irn",)], ids=["none", "one"])
def test_a_single_step_has_nothing_on_the_way(run, dataset, steps):
    assert score_steps(dataset, run, replace(RECIPE, refinement={"steps": steps})) == []


WRONG = {
    "missing": (None, "there is no label map"),
    "other size": (np.zeros((3, 3), np.uint8), r"\(3, 3\), the true mask"),
    "unknown label": (np.full((8, 9), 4, np.uint8), "label 4, expected 0 to 3"),
}


@pytest.mark.parametrize("kind", ["ir_label", "mask"])
@pytest.mark.parametrize(("content", "message"), WRONG.values(), ids=WRONG.keys())
def test_wrong_files_are_named(run, dataset, kind, content, message):
    maps = random_labels(dataset, 5)
    write_ir_labels(run, dataset, maps)
    write_masks(run, dataset, maps, [labels > 0 for labels in maps])
    path = getattr(run, kind)(dataset.ids[1])
    path.unlink()
    if content is not None:
        write_label_map(path, content)
    with pytest.raises(DataError, match=message) as caught:
        (score_ir_labels if kind == "ir_label" else score_masks)(dataset, run, RECIPE)
    assert str(path) in str(caught.value)


def test_confidence_of_another_size_is_named(run, dataset):
    maps = random_labels(dataset, 6)
    write_masks(run, dataset, maps, [labels > 0 for labels in maps])
    write_confidence(run.confidence(dataset.ids[3]), np.ones((2, 2), bool))
    with pytest.raises(DataError, match=r"confidence.*003\.png.*\(2, 2\), the true mask \(8, 9\)"):
        score_masks(dataset, run, RECIPE)
