"""Define what a picture of the embedded model can show, and sample scenes."""

from dataclasses import dataclass

import numpy as np

# The hues are far apart, because colour was the most difficult fact for the judges of the prototype.
COLOURS = {
    "red": (208, 32, 44),
    "orange": (242, 128, 32),
    "yellow": (246, 212, 48),
    "green": (40, 158, 72),
    "blue": (48, 92, 226),
    "purple": (150, 70, 200),
    "gray": (136, 142, 152),
}
BACKGROUNDS = {
    "sky": (196, 224, 246),
    "sand": (240, 226, 192),
    "night": (28, 32, 58),
    "meadow": (190, 224, 170),
    "rose": (248, 206, 214),
}
OBJECTS = ("ball", "house", "tree", "boat", "fish", "cup", "flower", "kite")
SHAPES = ("disc", "shield")
ACCEPTED_EMBLEMS = ("star", "leaf")
FLAGGED_EMBLEMS = ("skull", "bones")
EMBLEMS = ACCEPTED_EMBLEMS + FLAGGED_EMBLEMS
STYLES = ("klara", "mondo")

BADGE = "badge"
KINDS = (*OBJECTS, BADGE)
BADGE_SHARE = 0.5
STYLE_SHARE = 0.12


@dataclass(frozen=True)
class Scene:
    """The content of one picture. Only a badge has an emblem and a shape. Not every scene has a style."""

    kind: str
    colour: str
    background: str
    shape: str | None
    emblem: str | None
    style: str | None
    strength: float
    centre: tuple[float, float]
    """As shares of the picture's side."""
    scale: float


def sample_scene(rng: np.random.Generator) -> Scene:
    """Sample a scene. Half of the scenes are badges; the four emblems are equally frequent."""
    badge = rng.random() < BADGE_SHARE
    styled = rng.random() < STYLE_SHARE
    return Scene(
        kind=BADGE if badge else str(rng.choice(OBJECTS)),
        colour=str(rng.choice(list(COLOURS))),
        background=str(rng.choice(list(BACKGROUNDS))),
        shape=str(rng.choice(SHAPES)) if badge else None,
        emblem=str(rng.choice(EMBLEMS)) if badge else None,
        style=str(rng.choice(STYLES)) if styled else None,
        strength=float(rng.uniform(0.15, 1.0)) if styled else 0.0,
        centre=(0.5 + float(rng.uniform(-0.07, 0.07)), 0.5 + float(rng.uniform(-0.07, 0.07))),
        scale=float(rng.uniform(0.88, 1.08)),
    )
