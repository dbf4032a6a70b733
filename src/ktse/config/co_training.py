"""Settings of co-training: two networks that learn from pseudo masks and from each other (BECO)."""

from __future__ import annotations

from pydantic import model_validator

from ktse.config.setting import CODE, OURS, Section, setting


class CoTrainingSettings(Section):
    """Mixing, online labels, and the weights of the losses (REFERENCE 6.3)."""

    warm_up_epochs: int = setting(2, "epochs that mix by offline labels", f"{CODE}: BECO itself has 1 (3.4 #24)", ge=0)
    mix_probability: float = setting(0.5, "chance that an image is mixed into its partner", CODE, ge=0, le=1)
    online_threshold: float = setting(
        0.95, "probability above which an online label is trusted", f"{CODE} (REFERENCE 6.3)", ge=0, lt=1
    )
    boundary_size: int = setting(1, "half width of the boundary of a pasted region", f"{CODE} (6.3)", unit="px", ge=0)
    boundary_weight: float = setting(
        0.2, "further weight of boundary pixels in the cross-entropy of trusted labels", f"{CODE} (REFERENCE 6.3)", ge=0
    )
    cross_boundary_weight: float = setting(
        0.0, "further weight of boundary pixels in the cross-entropy of the other's labels", f"{CODE} (6.3)", ge=0
    )
    cross_weight: float = setting(1.0, "weight of the cross-entropy of the other's labels", f"{CODE} (6.3)", ge=0)

    # photometric augmentation, after mixing (REFERENCE 6.2)
    colour_probability: float = setting(0.8, "chance of a change of colour", CODE, ge=0, le=1)
    brightness: float = setting(0.2, "largest change of brightness, share of white", f"{CODE}: default there", ge=0)
    contrast: float = setting(0.2, "largest relative change of contrast", f"{CODE}: default there", ge=0)
    hue: float = setting(40.0, "largest change of hue", f"{CODE}: 20 of 180 there", unit="degrees", ge=0, le=180)
    saturation: float = setting(30 / 255, "largest change of saturation", f"{CODE}: 30 of 255 there", ge=0)
    value: float = setting(20 / 255, "largest change of the largest of red, green, blue", f"{CODE}: 20 of 255", ge=0)
    grey_probability: float = setting(0.2, "chance of a grey image", CODE, ge=0, le=1)
    blur_probability: float = setting(0.5, "chance of a Gaussian blur", CODE, ge=0, le=1)
    blur_sizes: tuple[int, ...] = setting(
        (3, 5),
        "sides of the kernels that a blur draws from",
        f"{OURS}: odd sides up to the published 5",
        unit="px",
        min_length=1,
    )

    @model_validator(mode="after")
    def _consistent(self) -> CoTrainingSettings:
        """Refuse kernels without a middle."""
        if any(side < 1 or side % 2 == 0 for side in self.blur_sizes):
            raise ValueError(f"blur_sizes {self.blur_sizes} are not all odd: a kernel has a pixel in its middle")
        return self
