"""The recipe and its sections: every default with its meaning and its source."""

from ktse.config.co_training import CoTrainingSettings
from ktse.config.crf import CrfSettings
from ktse.config.data import DataSettings
from ktse.config.evaluation import EvaluationSettings, RuntimeSettings
from ktse.config.irn import IrnSettings
from ktse.config.localization import LocalizationSettings, LossWeights
from ktse.config.recipe import Recipe, replace
from ktse.config.refinement import RefinementSettings
from ktse.config.segmentation import SegmentationSettings
from ktse.config.setting import Section

__all__ = [
    "CoTrainingSettings",
    "CrfSettings",
    "DataSettings",
    "EvaluationSettings",
    "IrnSettings",
    "LocalizationSettings",
    "LossWeights",
    "Recipe",
    "RefinementSettings",
    "RuntimeSettings",
    "Section",
    "SegmentationSettings",
    "replace",
]
