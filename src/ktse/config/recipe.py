"""The recipe: one frozen, validated object that says everything about a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import model_validator

from ktse.config.data import DataSettings
from ktse.config.evaluation import EvaluationSettings, RuntimeSettings
from ktse.config.irn import IrnSettings
from ktse.config.localization import LocalizationSettings
from ktse.config.refinement import RefinementSettings
from ktse.config.segmentation import SegmentationSettings
from ktse.config.setting import Section, setting

SAME_AS_LOCALIZATION = "localization"
"""Value of other sections' `trunk_weights`: those of `localization.trunk_weights`."""


class Recipe(Section):
    """All settings of a run, one section for each stage.

    Example:
        >>> recipe = Recipe(name="mine")
        >>> recipe.localization.erase_threshold
        0.6
    """

    name: str = setting("custom", "name of the recipe", "ours")
    summary: str = setting("", "what the recipe is for, expected cost and command", "ours")
    reproduces: str | None = setting(None, "table and row of the paper", "ours")
    published_value: float | None = setting(None, "mIoU that the paper prints there, in percent", "paper")
    data: DataSettings = DataSettings()
    localization: LocalizationSettings = LocalizationSettings()
    refinement: RefinementSettings = RefinementSettings()
    segmentation: SegmentationSettings = SegmentationSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    runtime: RuntimeSettings = RuntimeSettings()

    @model_validator(mode="after")
    def _weights_fit(self) -> Recipe:
        """Refuse to start a network of the run from the weights of another trunk."""
        sections: dict[str, SegmentationSettings | IrnSettings] = {"segmentation": self.segmentation}
        if "irn" in self.refinement.steps:
            sections["refinement.irn"] = self.refinement.irn
        for name, section in sections.items():
            if section.trunk_weights == SAME_AS_LOCALIZATION and section.trunk != self.localization.trunk:
                raise ValueError(
                    f"{name}.trunk_weights is '{SAME_AS_LOCALIZATION}', but the trunks differ: "
                    f"'{section.trunk}' and '{self.localization.trunk}'"
                )
        return self

    @model_validator(mode="after")
    def _something_is_learned(self) -> Recipe:
        """Refuse a localizer that would be trained without a loss."""
        localization = self.localization
        if not any(localization.weights.model_dump().values()):
            raise ValueError("all of localization.weights are 0: there is nothing to learn from")
        if localization.warm_up_epochs and not localization.weights.classification:
            raise ValueError(
                f"localization.weights.classification is 0, but the {localization.warm_up_epochs} epochs of "
                "localization.warm_up_epochs have no other loss"
            )
        return self

    @property
    def segmenter_weights(self) -> str | None:
        """The weights that the segmenter's trunk starts from."""
        return self._weights(self.segmentation.trunk_weights)

    @property
    def irnet_weights(self) -> str | None:
        """The weights of IRNet's trunk."""
        return self._weights(self.refinement.irn.trunk_weights)

    @property
    def pretrained_trunks(self) -> dict[str, str]:
        """Section to its trunk, where the stage is part of a run and its trunk starts from weights.

        Example:
            >>> Recipe().pretrained_trunks
            {'localization': 'resnet38d', 'refinement.irn': 'resnet50.tv_in1k', 'segmentation': 'resnet101.tv2_in1k'}
        """
        used = {
            "localization": (self.localization.trunk, self.localization.trunk_weights),
            "refinement.irn": (self.refinement.irn.trunk, self.irnet_weights),
            "segmentation": (self.segmentation.trunk, self.segmenter_weights),
        }
        if "irn" not in self.refinement.steps:
            del used["refinement.irn"]
        return {section: trunk for section, (trunk, weights) in used.items() if weights is not None}

    def _weights(self, named: str | None) -> str | None:
        return self.localization.trunk_weights if named == SAME_AS_LOCALIZATION else named


def replace(recipe: Recipe, **changes: Any) -> Recipe:
    """Return a recipe that differs from another in what is named, validated anew.

    Args:
        recipe: The recipe to start from.
        changes: Section (or top-level field) to new value; a dictionary changes only the settings that it names.

    Example:
        >>> mine = replace(Recipe(), name="mine", localization={"weights": {"inter_class": 0.0}})
        >>> mine.localization.weights.inter_class, mine.localization.weights.foreground
        (0.0, 0.0125)
    """
    return Recipe.model_validate(_merged(recipe.model_dump(), changes))


def _merged(old: dict[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Merge nested dictionaries; values that are not dictionaries replace."""
    merged = dict(old)
    for key, value in new.items():
        both = isinstance(value, Mapping) and isinstance(old.get(key), dict)
        merged[key] = _merged(old[key], value) if both else value
    return merged
