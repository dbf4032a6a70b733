"""Scores read from disk against scores computed in one piece from the same arrays."""

import json

import numpy as np
import pytest
import torch

from ktse.artifacts import RunDirectory, write_cams
from ktse.config import Recipe, replace
from ktse.data.image_io import write_label_map
from ktse.errors import DataError
from ktse.evaluation.run import evaluate, score_label_maps, score_seeds, sweep_thresholds
from ktse.types import CamSet
from reference.segmentation_scores_oracle import count_pairs, threshold_labels

RECIPE = replace(Recipe(), name="mine", localization={"sweep": (0.1, 0.5, 0.1), "seed_threshold": 0.25})


def write_predictions(folder, dataset, random_seed=1):
    """Write random label maps, also for images that have no mask; return them."""
    generator = np.random.default_rng(random_seed)
    predictions = []
    for index, id_ in enumerate(dataset.ids):
        prediction = generator.integers(0, 4, dataset.image(index).shape[:2]).astype(np.uint8)
        write_label_map(folder / f"{id_}.png", prediction)
        predictions.append(prediction)
    return predictions


def test_label_maps_count_over_the_whole_data_set(tmp_path, in_memory, make_masks):
    dataset = in_memory(make_masks())
    predictions = write_predictions(tmp_path, dataset)
    score = evaluate(dataset, tmp_path, stage="masks", recipe=RECIPE)
    masks = [dataset.mask(index) for index in range(4)]
    np.testing.assert_array_equal(score.matrix, count_pairs(np.stack(masks), np.stack(predictions), 4))
    assert score.stage == score.to_json()["stage"] == "masks"
    assert score.class_names == ("cat", "dog", "cow")
    assert score.protocol.recipe == "mine"
    assert score.protocol.images == 4
    assert score.protocol.origins == ()
    assert evaluate(dataset, tmp_path).protocol.origins == (f"label maps of {tmp_path.name}",)


def test_perfect_label_maps_score_100(tmp_path, in_memory, make_masks):
    dataset = in_memory(make_masks())
    for index, id_ in enumerate(dataset.ids):
        mask = dataset.mask(index)
        write_label_map(tmp_path / f"{id_}.png", np.where(mask == 255, 0, mask))
    score = evaluate(dataset, tmp_path)
    assert (score.miou, score.over_expansion, score.under_activation) == (100, 0, 0)


def test_images_without_mask_are_left_out_and_counted(tmp_path, in_memory, make_masks):
    masks = make_masks()
    with_gaps = in_memory([masks[0], None, masks[2], None])
    write_predictions(tmp_path, with_gaps)
    score = evaluate(with_gaps, tmp_path)
    np.testing.assert_array_equal(score.matrix, evaluate(with_gaps.subset([0, 2]), tmp_path).matrix)
    assert (score.protocol.images, score.protocol.images_without_mask) == (2, 2)


def test_no_mask_at_all_is_an_error(tmp_path, in_memory):
    with pytest.raises(DataError, match="no true masks in split 'train'"):
        evaluate(in_memory([None, None]), tmp_path)


@pytest.mark.parametrize(
    ("prediction", "message"),
    [
        (None, "lacks the label maps of 1 of the 4 images of memory train: part/001"),
        (np.zeros((4, 4), np.uint8), r"prediction is \(4, 4\), the true mask \(8, 9\)"),
        (np.full((8, 9), 17, np.uint8), "label 17, expected 0 to 3"),
    ],
    ids=["missing", "other size", "unknown label"],
)
def test_wrong_label_map_is_named(tmp_path, in_memory, make_masks, prediction, message):
    dataset = in_memory(make_masks())
    write_predictions(tmp_path, dataset)
    path = tmp_path / "part" / "001.png"
    path.unlink()
    if prediction is not None:
        write_label_map(path, prediction)
    with pytest.raises(DataError, match=message) as caught:
        evaluate(dataset, tmp_path)
    assert str(path if prediction is not None else tmp_path) in str(caught.value)


def test_damaged_label_map_is_named(tmp_path, in_memory, make_masks):
    dataset = in_memory(make_masks())
    write_predictions(tmp_path, dataset)
    (tmp_path / "part" / "002.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"002\.png"):
        evaluate(dataset, tmp_path)


def write_random_cams(run, dataset, *, grid=(4, 5)):
    """Write CAMs of the tagged classes on a coarse grid; return them at the size of the images."""
    generator = np.random.default_rng(2)
    full_size = []
    for index, id_ in enumerate(dataset.ids):
        size = dataset.image(index).shape[:2]
        present = np.flatnonzero(dataset.tags[index])
        scores = generator.random((len(present), *grid)).astype(np.float16)
        write_cams(run.cams(id_), CamSet(scores, present, size))
        resized = [  # one class at a time: torch resizes no empty stack
            torch.nn.functional.interpolate(
                torch.from_numpy(score.astype(np.float32))[None, None], size=size, mode="bilinear", align_corners=False
            )[0, 0].numpy()
            for score in scores
        ]
        full_size.append((np.reshape(resized, (len(present), *size)), present))
    return full_size


def test_seeds_at_the_best_and_at_the_fixed_threshold(tmp_path, in_memory, make_masks):
    masks = [mask if index % 2 else np.where(mask == 3, 0, mask) for index, mask in enumerate(make_masks())]
    dataset, run = in_memory(masks), RunDirectory(tmp_path)
    cams = write_random_cams(run, dataset)

    def matrix_at(threshold):
        labels = [threshold_labels(scores, present, threshold) for scores, present in cams]
        return count_pairs(np.stack(masks), np.stack(labels), 4)

    def published_miou(matrix):
        hits = np.diag(matrix)
        return (hits / (matrix.sum(0) + matrix.sum(1) - hits + 1e-10)).mean()

    tried = {threshold: matrix_at(threshold) for threshold in (0.1, 0.2, 0.3, 0.4, 0.5)}
    winner = max(tried, key=lambda threshold: published_miou(tried[threshold]))
    best, fixed = score_seeds(dataset, run, RECIPE)
    np.testing.assert_array_equal(best.matrix, tried[winner])
    assert (best.protocol.threshold, best.protocol.threshold_source) == (winner, "masks")
    assert best.miou == pytest.approx(100 * published_miou(tried[winner]))
    np.testing.assert_array_equal(fixed.matrix, matrix_at(0.25))
    assert (fixed.protocol.threshold, fixed.protocol.threshold_source) == (0.25, "fixed")
    assert best.stage == fixed.stage == "seeds"


def test_fixed_threshold_outside_the_sweep_takes_no_part_in_the_search(tmp_path, in_memory):
    recipe = replace(RECIPE, localization={"sweep": (0.8, 0.9, 0.1)})
    dataset, run = in_memory([np.full((8, 9), 1, np.uint8)] * 2), RunDirectory(tmp_path)  # the lower, the better
    write_random_cams(run, dataset)
    best, fixed = score_seeds(dataset, run, recipe)
    assert fixed.miou > best.miou
    assert best.protocol.threshold in (0.8, 0.9)


def test_image_without_tags_counts_as_background(tmp_path, in_memory):
    dataset, run = in_memory([np.zeros((8, 9), np.uint8), np.full((8, 9), 1, np.uint8)]), RunDirectory(tmp_path)
    write_random_cams(run, dataset)
    best, _ = score_seeds(dataset, run, RECIPE)
    assert best.matrix[0, 0] == 72


@pytest.mark.parametrize(
    ("cams", "message"),
    [
        (None, "cannot read CAMs"),
        (CamSet(np.zeros((1, 2, 2)), np.array([0]), (6, 6)), r"made for an image of \(6, 6\)"),
        (CamSet(np.zeros((1, 2, 2)), np.array([9]), (8, 9)), "different ones of 0 to 2"),
    ],
    ids=["missing", "other image", "unknown class"],
)
def test_wrong_cams_are_named(tmp_path, in_memory, make_masks, cams, message):
    dataset, run = in_memory(make_masks()), RunDirectory(tmp_path)
    write_random_cams(run, dataset)
    path = run.cams("part/001")
    path.unlink()
    if cams is not None:
        write_cams(path, cams)
    with pytest.raises(DataError, match=message) as caught:
        score_seeds(dataset, run, RECIPE)
    assert str(path) in str(caught.value)


def test_a_mask_of_another_size_than_its_image_is_named_and_not_the_cams(tmp_path, in_memory, make_masks, monkeypatch):
    dataset, run = in_memory(make_masks()), RunDirectory(tmp_path)
    write_random_cams(run, dataset)
    image = np.zeros((8, 9, 3), np.uint8)
    monkeypatch.setattr(dataset, "image", lambda index: image)
    dataset._masks[1] = np.zeros((6, 6), np.uint8)
    with pytest.raises(DataError, match=r"true mask of image 'part/001' is \(6, 6\), the image \(8, 9\)") as caught:
        score_seeds(dataset, run, RECIPE)
    assert "localize" not in str(caught.value)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["dog", "cat", "cow"], "label 1 is 'dog' there and 'cat' in the data set, of 3 and 3 classes"),
        (["cat", "dog"], "label 3 is no class there and 'cow' in the data set, of 2 and 3 classes"),
        (["cat", "dog", "cow", "hen"], "label 4 is 'hen' there and no class in the data set, of 4 and 3 classes"),
    ],
    ids=["order", "fewer", "more"],
)
def test_predictions_of_other_classes_are_refused(tmp_path, in_memory, make_masks, names, message):
    dataset = in_memory(make_masks())
    write_predictions(tmp_path, dataset)
    (tmp_path / "predictions.json").write_text(json.dumps({"key": "x", "labels": ["background", *names]}))
    with pytest.raises(DataError, match=message) as caught:
        evaluate(dataset, tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "memory" in str(caught.value)


@pytest.mark.parametrize(
    "content", ['{"labels": ["background", "cat", "dog", "cow"]}', "[1]", '{"labels": 3}', "{"],
    ids=["same", "list", "number", "cut"],
)  # fmt: skip
def test_predictions_of_the_same_classes_and_foreign_files_beside_label_maps_are_taken(
    tmp_path, in_memory, make_masks, content
):
    dataset = in_memory(make_masks())
    write_predictions(tmp_path, dataset)
    (tmp_path / "predictions.json").write_text(content)
    assert evaluate(dataset, tmp_path).protocol.images == 4


@pytest.mark.parametrize("world_size", [2, 3, 5])
def test_processes_share_the_images_and_sum_up(tmp_path, in_memory, make_masks, processes, world_size):
    dataset, run = in_memory([*make_masks(), None]), RunDirectory(tmp_path)
    write_predictions(run.predictions, dataset)
    write_random_cams(run, dataset)
    label_maps = [
        score_label_maps(dataset, run.predictions, stage="predictions", fabric=process)
        for process in processes(world_size)
    ]
    alone = score_label_maps(dataset, run.predictions, stage="predictions")
    np.testing.assert_array_equal(label_maps[-1].matrix, alone.matrix)
    assert label_maps[-1].protocol == alone.protocol
    seeds = [score_seeds(dataset, run, RECIPE, fabric=process) for process in processes(world_size)]
    np.testing.assert_array_equal(seeds[-1][0].matrix, score_seeds(dataset, run, RECIPE)[0].matrix)
    assert seeds[-1][0].protocol == score_seeds(dataset, run, RECIPE)[0].protocol


@pytest.mark.parametrize(
    ("sweep", "count", "last"),
    [((0.1, 0.29, 0.01), 20, 0.29), ((0.05, 0.8, 0.01), 76, 0.8), ((0.3, 0.3, 0.1), 1, 0.3)],
    ids=["published", "demo", "one"],
)
def test_sweep_has_both_ends(sweep, count, last):
    thresholds = sweep_thresholds(*sweep)
    assert len(thresholds) == count
    assert thresholds[0] == sweep[0]
    assert thresholds[-1] == last
