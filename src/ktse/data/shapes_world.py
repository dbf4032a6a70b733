"""What the Shapes world is like: how often, how large, how bright."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The numbers of the Shapes world; two worlds with other numbers are other data sets.

    The defaults show the failures that the method treats: a classifier finds the striking parts and is tempted by the
    scene. At `home_scene` 0.75 it learns the scene instead of the thing; with bodies of any hue and texture (`own_hue`
    and `own_texture` 0) only the striking part speaks for the class, and no method can grow beyond it.
    Lengths are shares of half the image side unless a field says otherwise, chances are in [0, 1].

    Attributes:
        home_scene: Chance that the scene is the home of the first thing; otherwise any of the five.
        two_classes: Chance that an image shows things of two classes (a complex image).
        related_second: Chance that the second class shares the home of the first.
        third_thing: Chance that a complex image shows another thing of one of its two classes.
        same_again: Chance that a simple image shows two things of its class.
        own_hue: Chance that a body has the hue that its kind prefers; otherwise any.
        own_texture: Chance that a body has the texture that its kind prefers; otherwise any of the four.
        body_saturation: Range of the saturation of bodies and clutter.
        striking_size: Factor on the size of the striking part.
        single_radius: Range of the radius of a thing that is alone.
        several_radius: Range of the radius of one of several things.
        third_shrink: Factor on the radius where there are three things.
        clutter: Fewest and most pieces of unlabelled clutter.
        smallest_visible: Least share of the image that each class must show, all its things together.
        open_ground: Chance that the ground fills the image and no sky is seen.
        tilt: Deviation of the rotation of a thing that stands, degrees.
        flight_tilt: Deviation of the rotation of a thing that flies, degrees.
        gain: Range of the brightness of an image.
        light_gradient: Deviation of the change of brightness across the image, in each direction.
        tint: Deviation of the gain of each colour channel.
        noise: Deviation of the noise of each value, in [0, 1] units of colour.
        supersampling: Images are drawn this many times larger, and averaged down.
    """

    home_scene: float = 0.65
    two_classes: float = 0.45
    related_second: float = 0.4
    third_thing: float = 0.2
    same_again: float = 0.25
    own_hue: float = 0.85
    own_texture: float = 0.9
    body_saturation: tuple[float, float] = (0.35, 0.7)
    striking_size: float = 1.25
    single_radius: tuple[float, float] = (0.55, 0.92)
    several_radius: tuple[float, float] = (0.42, 0.62)
    third_shrink: float = 0.8
    clutter: tuple[int, int] = (1, 3)
    smallest_visible: float = 0.0045
    open_ground: float = 0.25
    tilt: float = 9.0
    flight_tilt: float = 16.0
    gain: tuple[float, float] = (0.75, 1.15)
    light_gradient: float = 0.12
    tint: float = 0.04
    noise: float = 0.018
    supersampling: int = 2
