"""Tables 1 to 7 of the paper as data: every row as printed, and what its numbers measure.

Where two rows are printed alike, or a method carries the reference of another, it is so in the paper. The numbers were
taken by their authors, each in their own way: a table compares papers, not runs.
"""

from __future__ import annotations

from dataclasses import dataclass

VOC, COCO = "VOC 2012", "COCO"
"""Names of the data sets, as `Dataset.name` has them."""


@dataclass(frozen=True, slots=True)
class Column:
    """What the numbers below one heading measure: mIoU in percent, always.

    Attributes:
        title: The heading.
        stage: What is scored, as of `Score`.
        split: Split whose masks it is scored on.
        images: Images of this split that the paper speaks of.
    """

    title: str
    stage: str
    split: str
    images: int


@dataclass(frozen=True, slots=True)
class Row:
    """A method and its numbers.

    Attributes:
        method: Its name, as printed.
        values: mIoU in percent for each column; None where the paper prints a dash.
        supervision: Its teacher: I image-level labels, S saliency maps, O out-of-distribution data, L language; None in
            tables that do not say.
        venue: Where it was published, as printed; None where the table does not say.
        cited: Number of the reference, as printed.
        ours: Whether the row is the paper's own method.
    """

    method: str
    values: tuple[float | None, ...]
    supervision: str | None = None
    venue: str | None = None
    cited: int | None = None
    ours: bool = False


@dataclass(frozen=True, slots=True)
class PublishedTable:
    """A table of the paper.

    Attributes:
        name: As commands take it.
        title: What it shows.
        dataset: Data set that is scored.
        trunk: Trunk of the network that is compared, by the name that recipes have for it: of the localizer where
            seeds or pseudo masks are scored, else of the segmenter.
        columns: Its columns of numbers.
        rows: Its rows, in the paper's order.
        note: What one has to know to read it.
    """

    name: str
    title: str
    dataset: str
    trunk: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    note: str


_SEED = Column("Seed", "seeds", "train", 1464)
_AFTER_IRN = Column("w/ IRN", "masks", "train", 1464)
_VOC_VAL, _VOC_TEST = Column("Val", "predictions", "val", 1449), Column("Test", "predictions", "test", 1456)
_COCO_VAL = Column("Val", "predictions", "val2014", 40_000)
_ABLATED = Column("mIoU", "seeds", "train", 1464)

_SEEDS_NOTE = (
    "Seeds are scored at the threshold that is best on the masks they are scored on, as the published code does."
)
_VOC_NOTE = "The test split is scored by the evaluation server of VOC. The paper describes no views and no CRF."
_COCO_NOTE = "The paper describes neither the training of the localizer on COCO, nor views, nor a CRF."

TABLES: tuple[PublishedTable, ...] = (
    PublishedTable(
        "table1",
        "Seeds and pseudo masks on VOC train",
        VOC,
        "resnet38d",
        (_SEED, _AFTER_IRN),
        (
            Row("IRN", (48.3, 66.3), venue="CVPR19", cited=1),
            Row("MBMNet", (50.2, 66.8), venue="MM20", cited=40),
            Row("CONTA", (48.8, 67.9), venue="NIPS20", cited=68),
            Row("AdvCAM", (55.6, 69.9), venue="CVPR21", cited=32),
            Row("RIB", (56.6, 70.6), venue="NIPS21", cited=31),
            Row("ReCAM", (56.6, 70.5), venue="CVPR22", cited=14),
            Row("ESOL", (53.6, 68.7), venue="NIPS22", cited=35),
            Row("CLIMS", (56.6, 70.5), venue="CVPR22", cited=63),
            Row("AEFT", (56.0, 71.0), venue="ECCV22", cited=67),
            Row("ACR", (60.3, 72.3), venue="CVPR23", cited=15),
            Row("FPR", (63.8, None), venue="ICCV23", cited=6),
            Row("KTSE", (67.0, 73.8), ours=True),
        ),
        _SEEDS_NOTE,
    ),
    PublishedTable(
        "table2",
        "Segmentation of VOC, VGG backbone",
        VOC,
        "vgg16",
        (_VOC_VAL, _VOC_TEST),
        (
            Row("DRS", (63.6, 64.4), "I+S", venue="AAAI21", cited=28),
            Row("GSM", (63.3, 63.6), "I+S", venue="AAAI21", cited=36),
            Row("NSROM", (65.5, 65.3), "I+S", venue="CVPR21", cited=66),
            Row("EPS", (67.0, 67.3), "I+S", venue="CVPR21", cited=34),
            Row("L2G", (68.5, 68.9), "I+S", venue="CVPR22", cited=24),
            Row("AffinityNet", (58.4, 60.5), "I", venue="CVPR18", cited=2),
            Row("ICD", (61.2, 60.9), "I", venue="CVPR20", cited=20),
            Row("BES", (60.1, 61.1), "I", venue="ECCV20", cited=7),
            Row("ECS", (62.1, 63.4), "I", venue="ICCV21", cited=55),
            Row("KTSE", (67.3, 67.0), "I", ours=True),
        ),
        _VOC_NOTE,
    ),
    PublishedTable(
        "table3",
        "Segmentation of VOC, ResNet backbone",
        VOC,
        "resnet101",
        (_VOC_VAL, _VOC_TEST),
        (
            Row("DRS", (71.2, 71.4), "I+S", venue="AAAI21", cited=28),
            Row("NSROM", (70.4, 70.2), "I+S", venue="CVPR21", cited=66),
            Row("EPS", (71.0, 71.8), "I+S", venue="CVPR21", cited=34),
            Row("AuxSeg", (69.0, 68.6), "I+S", venue="ICCV21", cited=64),
            Row("PPC", (72.6, 73.6), "I+S", venue="CVPR22", cited=18),
            Row("RCA", (72.2, 72.8), "I+S", venue="CVPR22", cited=73),
            Row("L2G", (72.1, 71.7), "I+S", venue="CVPR22", cited=24),
            Row("W-OoD", (69.8, 69.9), "I+O", venue="CVPR22", cited=33),
            Row("CLIP-ES", (71.1, 71.4), "I+L", venue="CVPR23", cited=39),
            Row("LPCAM", (71.8, 72.1), "I+S", venue="CVPR23", cited=13),
            Row("AdvCAM", (68.1, 68.0), "I", venue="CVPR21", cited=32),
            Row("CDA", (66.1, 66.8), "I", venue="ICCV21", cited=54),
            Row("CSE", (68.4, 68.2), "I", venue="ICCV21", cited=30),
            Row("RIB", (68.3, 68.6), "I", venue="NIPS21", cited=31),
            Row("AMR", (68.8, 69.1), "I", venue="AAAI22", cited=44),
            Row("MCT", (71.9, 71.6), "I", venue="CVPR22", cited=65),
            Row("AFA", (66.0, 66.3), "I", venue="CVPR22", cited=47),
            Row("SIPE", (68.8, 69.7), "I", venue="CVPR22", cited=8),
            Row("ReCAM", (68.5, 68.4), "I", venue="CVPR22", cited=14),
            Row("PPC", (67.7, 67.4), "I", venue="CVPR22", cited=18),
            Row("ViT-PCM", (70.3, 70.9), "I", venue="ECCV22", cited=46),
            Row("S-BCE", (70.0, 71.3), "I", venue="ECCV22", cited=46),
            Row("AEFT", (70.9, 71.7), "I", venue="ECCV22", cited=67),
            Row("TOCO", (69.8, 70.5), "I", venue="CVPR23", cited=48),
            Row("OCR", (72.7, 72.0), "I", venue="CVPR23", cited=15),
            Row("ACR", (71.9, 71.9), "I", venue="CVPR23", cited=15),
            Row("BECO", (72.1, 71.8), "I", venue="CVPR23", cited=45),
            Row("FPR", (70.3, 70.1), "I", venue="ICCV23", cited=6),
            Row("MARS", (70.3, 71.2), "I", venue="ICCV23", cited=26),
            Row("KTSE", (73.0, 72.9), "I", ours=True),
        ),
        _VOC_NOTE,
    ),
    PublishedTable(
        "table4",
        "Segmentation of COCO, VGG backbone",
        COCO,
        "vgg16",
        (_COCO_VAL,),
        (
            Row("IAL", (27.7,), "I+S", venue="IJCV20", cited=58),
            Row("GWSM", (28.4,), "I+S", venue="AAAI21", cited=36),
            Row("EPS", (35.7,), "I+S", venue="CVPR21", cited=34),
            Row("I2CRC", (31.2,), "I+S", venue="TMM22", cited=73),
            Row("RCA", (36.8,), "I+S", venue="CVPR22", cited=73),
            Row("MDBA", (37.8,), "I+S", venue="TIP23", cited=11),
            Row("BFBP", (20.4,), "I", venue="ECCV16", cited=49),
            Row("SEC", (22.4,), "I", venue="ECCV16", cited=29),
            Row("CONTA", (23.7,), "I", venue="NIPS20", cited=68),
            Row("KTSE", (37.2,), "I", ours=True),
        ),
        _COCO_NOTE,
    ),
    PublishedTable(
        "table5",
        "Segmentation of COCO, ResNet backbone",
        COCO,
        "resnet101",
        (_COCO_VAL,),
        (
            Row("L2G", (44.2,), "I+S", venue="CVPR22", cited=24),
            Row("CLIP-ES", (45.4,), "I+L", venue="CVPR23", cited=39),
            Row("LPCAM", (42.1,), "I+S", venue="CVPR23", cited=13),
            Row("OC-CSE", (36.4,), "I", venue="ICCV21", cited=30),
            Row("CDA", (33.2,), "I", venue="ICCV21", cited=54),
            Row("RIB", (43.8,), "I", venue="NIPS21", cited=31),
            Row("MCT", (42.0,), "I", venue="CVPR22", cited=65),
            Row("SIPE", (40.6,), "I", venue="CVPR22", cited=8),
            Row("TOCO", (41.3,), "I", venue="CVPR23", cited=48),
            Row("OCR", (42.5,), "I", venue="CVPR23", cited=15),
            Row("ACR", (45.3,), "I", venue="CVPR23", cited=15),
            Row("BECO", (45.1,), "I", venue="CVPR23", cited=45),
            Row("FPR", (43.9,), "I", venue="ICCV23", cited=6),
            Row("USAGE", (44.3,), "I", venue="ICCV23", cited=43),
            Row("KTSE", (45.9,), "I", ours=True),
        ),
        _COCO_NOTE,
    ),
    PublishedTable(
        "table6",
        "Components, seeds on VOC train",
        VOC,
        "resnet38d",
        (_ABLATED,),
        (
            Row("Base", (54.2,)),
            Row("Base + SIE", (57.1,)),
            Row("Base + SSR", (57.4,)),
            Row("Base + MGA", (60.2,)),
            Row("Base + SIE + SSR", (63.8,)),
            Row("Base + SIE + SSR + MGA", (67.0,), ours=True),
        ),
        _SEEDS_NOTE + " Which row has which components follows section 4.3 of the paper.",
    ),
    PublishedTable(
        "table7",
        "Alignment and its rivals, seeds on VOC train",
        VOC,
        "resnet38d",
        (_ABLATED,),
        (
            Row("Base", (54.2,)),
            Row("Rigid Classification", (55.6,), cited=69),
            Row("Soft GPP Feature", (54.9,), cited=67),
            Row("Our GA", (58.7,), ours=True),
            Row("Our GA & LA", (60.2,), ours=True),
        ),
        _SEEDS_NOTE,
    ),
)
"""All of them; `ktse.evaluation.published` compares a run with one."""
