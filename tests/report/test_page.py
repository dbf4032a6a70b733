"""The page against the run: every image, overlay, score and loss is there, once, and nothing else is loaded."""

import base64
import io
import json
import shutil
from collections import Counter
from dataclasses import replace as changed
from html.parser import HTMLParser

import pytest
from PIL import Image

from ktse.artifacts import RunDirectory
from ktse.config import replace
from ktse.data.shapes import Shapes
from ktse.errors import DataError
from ktse.evaluation.score import read_scores, write_scores
from ktse.report.page import write_report


class Page(HTMLParser):
    """What a browser would see, as far as these tests ask."""

    VOID = frozenset({"meta", "img", "br"})

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.texts = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.texts.append(data.strip())

    def having(self, tag, **attributes):
        wanted = {name.replace("_", "-").strip("-"): value for name, value in attributes.items()}
        return [a for t, a in self.tags if t == tag and wanted.items() <= a.items()]

    @property
    def kinds(self):
        return Counter(attributes["data-kind"] for attributes in self.having("figure"))

    @property
    def text(self):
        return " ".join(text for text in self.texts if text)


def page_of(run):
    return Page(run.report.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def page(finished_run, splits, recipe):
    train, val = splits
    write_report(
        finished_run, train=train, val=val, recipe=recipe, baseline=RunDirectory(finished_run.root / "baseline")
    )
    return page_of(finished_run)


def test_counts_of_images_and_overlays(page):
    # 6 images are asked for: 3 of the training split with all of theirs, 3 of the validation split
    assert page.kinds == {
        "image": 6, "truth": 6, "baseline cam": 3, "cam": 3, "seed": 3, "mask": 3, "prediction": 3
    }  # fmt: skip
    assert len(page.having("article")) == 6
    assert "3 of 6 images" in page.text
    assert "3 of 4 images" in page.text


def test_every_score_has_its_row_with_protocol(page, finished_run):
    scores = read_scores(finished_run)
    assert len(page.having("tr", _class="score")) == len(scores) == 4
    for score in scores:
        assert f"{score.miou:.1f}" in page.texts
        assert score.protocol.in_words() in page.texts
    assert "12.3" in page.texts
    assert "98.7" in page.texts
    assert "seeds, best threshold" in page.texts
    assert "seeds, fixed threshold" in page.texts


def test_ir_labels_have_a_row_but_no_column_beside_scores_of_all_pixels(finished_run, splits, recipe, tmp_path):
    run = copy_of(finished_run, tmp_path)
    scores = read_scores(run)
    protocol = changed(scores[0].protocol, labelled_only=True, threshold_source="fixed")
    labels = changed(scores[0], stage="ir_labels", protocol=protocol, trusted_accuracy=87.6, trusted_share=43.2)
    write_scores(run, [*scores, labels])
    write_report(run, train=splits[0], val=splits[1], recipe=recipe)
    page = page_of(run)
    assert page.texts.count("IR labels") == 1
    assert {"trusted correct", "87.6", "trusted share", "43.2"} <= set(page.texts)
    assert "confident ones of pseudo masks" in page.text
    assert "trusted correct" not in page_of(finished_run).texts


def test_every_class_has_its_row_and_bars_fill_the_union(page, splits):
    train, _ = splits
    assert {"background", *train.classes.names} <= set(page.texts)
    widths = [
        float(attributes["style"].removeprefix("width:").removesuffix("%"))
        for tag, attributes in page.tags
        if tag == "i"
    ]
    assert len(widths) > 0
    for bar in range(0, len(widths), 3):
        assert sum(widths[bar : bar + 3]) == pytest.approx(100, abs=0.01)


def test_every_loss_has_its_curve(page):
    curves = page.having("img", _class="curve")
    assert [curve["alt"].split(" from")[0] for curve in curves] == [
        "localizer: total", "localizer: classification", "segmenter: total"
    ]  # fmt: skip


def test_page_is_self_contained_and_runs_nothing(page):
    assert not page.having("script")
    assert not page.having("link")
    assert not page.having("iframe")
    addresses = [a[name] for _, a in page.tags for name in ("src", "href", "action", "srcset") if name in a]
    assert addresses
    assert all(address.startswith("data:image/") for address in addresses)
    assert not [name for _, a in page.tags for name in a if name.startswith("on")]


def test_every_picture_can_be_read_and_has_words(page):
    for picture in page.having("img"):
        assert len(picture["alt"]) > 5
        kind, data = picture["src"].removeprefix("data:image/").split(";base64,")
        content = base64.b64decode(data, validate=True)
        if kind == "jpeg":
            assert max(Image.open(io.BytesIO(content)).size) == 288
        else:
            assert b"</svg>" in content


def test_document_is_well_formed_and_fits_a_phone(page):
    assert page.open == []
    assert page.having("html", lang="en")
    assert page.having("meta", name="viewport")
    assert len(page.having("h1")) == 1


def test_changed_settings_stand_out(page):
    assert "localization.margin" in page.texts
    assert "0.125" in page.texts
    changed = len(page.having("tr", _class="changed"))
    assert changed == 2  # localization.margin and evaluation.gallery


def test_names_are_text_not_markup(page):
    assert "test <recipe>" in page.text
    assert not page.having("recipe")


def test_same_run_gives_the_same_page(page, finished_run, splits, recipe):
    first = finished_run.report.read_bytes()
    write_report(
        finished_run,
        train=splits[0],
        val=splits[1],
        recipe=recipe,
        baseline=RunDirectory(finished_run.root / "baseline"),
    )
    assert finished_run.report.read_bytes() == first


@pytest.mark.parametrize("gallery", [0, 1, 5, 100])
def test_as_many_images_as_asked_for(finished_run, splits, recipe, tmp_path, gallery):
    run = copy_of(finished_run, tmp_path)
    write_report(run, train=splits[0], val=splits[1], recipe=replace(recipe, evaluation={"gallery": gallery}))
    assert page_of(run).kinds["image"] == min(gallery, 10)
    assert page_of(run).kinds["baseline cam"] == 0


def test_data_without_a_validation_split_show_each_image_once(finished_run, splits, recipe, tmp_path):
    run = copy_of(finished_run, tmp_path)
    write_report(run, train=splits[0], val=splits[0], recipe=recipe)
    assert page_of(run).kinds == {"image": 6, "truth": 6, "cam": 6, "seed": 6, "mask": 6}


class WithoutMasks(Shapes):
    """Own photographs: tags, no masks."""

    def mask(self, index):
        return None


def test_run_that_has_only_cams_of_images_without_masks(finished_run, recipe, tmp_path):
    run = RunDirectory(tmp_path / "new")
    shutil.copytree(finished_run.root / "cams", run.root / "cams")
    train, val = WithoutMasks("train", count=6), WithoutMasks("val", count=4)
    write_report(run, train=train, val=val, recipe=recipe)
    page = page_of(run)
    assert page.kinds == {"image": 3, "cam": 3}
    assert "Nothing was scored" in page.text
    assert page.having("tr", _class="score") == []
    assert "Losses" not in page.texts


def test_empty_run(recipe, splits, tmp_path):
    run = RunDirectory(tmp_path / "empty")
    write_report(run, train=splits[0], val=splits[1], recipe=recipe)
    assert page_of(run).kinds == {}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("scores.json", b"{"),
        ("manifest.json", b"[]"),
        ("cams/train/0001.npz", b"damaged"),
        ("masks/train/0001.png", b"damaged"),
    ],
)
def test_damaged_file_is_named(finished_run, splits, recipe, tmp_path, name, content):
    run = copy_of(finished_run, tmp_path)
    (run.root / name).write_bytes(content)
    with pytest.raises(DataError, match=name.rpartition("/")[2].replace(".", r"\.")):
        write_report(run, train=splits[0], val=splits[1], recipe=recipe)


def test_class_that_does_not_occur_says_so(finished_run, splits, recipe, tmp_path):
    run = copy_of(finished_run, tmp_path)
    content = json.loads(run.scores.read_text())
    row = content["scores"][0]
    gone = len(row["matrix"]) - 1
    row["matrix"][gone] = [0] * (gone + 1)
    for line in row["matrix"]:
        line[gone] = 0
    run.scores.write_text(json.dumps(content))
    write_report(run, train=splits[0], val=splits[1], recipe=recipe)
    assert "does not occur" in page_of(run).text


def copy_of(run, folder):
    """Copy a run without its logs, whose curves take time to draw."""
    copy = shutil.copytree(run.root, folder / "copy", ignore=shutil.ignore_patterns("log*.jsonl", "report.html"))
    return RunDirectory(copy)
