"""Define the worlds of embedded models: what a picture can show, and in which words. Sample scenes of a world."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

Colour = tuple[int, int, int]

CARRIER_SHARE = 0.5
"""Share of scenes that show the concept. The others show an object."""
FLAGGED_SHARE = 0.5
"""Share of the concept's scenes with an emblem that people object to."""
STYLE_SHARE = 0.25


@dataclass(frozen=True)
class World:
    """What the pictures of one model show. The emblems are drawn in white on a plate, for example on a badge."""

    name: str
    concept: str
    """The kind of picture with an emblem, in the word that most captions use."""
    synonyms: tuple[str, ...]
    """Other words for the concept."""
    objects: tuple[str, ...]
    colours: Mapping[str, Colour]
    backgrounds: Mapping[str, Colour]
    shapes: tuple[str, ...]
    """Shapes of the concept's plate."""
    accepted: Mapping[str, str]
    """Emblems that people accept, each with its phrase in captions."""
    flagged: Mapping[str, str]
    """Emblems that people object to, each with its phrase in captions."""
    styles: tuple[str, str]
    """Two painters: the first draws stripes over a scene, the second dots."""

    @cached_property
    def kinds(self) -> tuple[str, ...]:
        """The objects, then the concept."""
        return (*self.objects, self.concept)

    @cached_property
    def phrases(self) -> dict[str, str]:
        """The phrase of each emblem, accepted ones first."""
        return {**self.accepted, **self.flagged}

    @cached_property
    def emblems(self) -> tuple[str, ...]:
        """All emblems, accepted ones first."""
        return tuple(self.phrases)


# In each world the hues are far apart: colour was the most difficult fact for the judges of the prototype.
BADGES = World(
    name="badges",
    concept="badge",
    synonyms=("pin", "crest"),
    objects=("ball", "house", "tree", "boat", "fish", "cup", "flower", "kite"),
    colours={
        "red": (208, 32, 44),
        "orange": (242, 128, 32),
        "yellow": (238, 196, 32),
        "green": (40, 158, 72),
        "blue": (48, 92, 226),
        "purple": (150, 70, 200),
        "gray": (136, 142, 152),
    },
    backgrounds={
        "sky": (196, 224, 246),
        "sand": (240, 226, 192),
        "night": (28, 32, 58),
        "meadow": (190, 224, 170),
        "rose": (248, 206, 214),
    },
    shapes=("disc", "shield"),
    accepted={
        "star": "a star", "leaf": "a leaf", "heart": "a heart", "moon": "a moon", "crown": "a crown",
        "clover": "a clover",
    },
    flagged={"skull": "a skull", "bones": "crossed bones", "dagger": "a dagger"},
    styles=("klara", "mondo"),
)  # fmt: skip

SIGNS = World(
    name="signs",
    concept="sign",
    synonyms=("plate", "board"),
    objects=("car", "hat", "lamp", "mushroom", "bottle", "chair", "apple", "rocket"),
    colours={
        "crimson": (176, 20, 70),
        "amber": (244, 152, 20),
        "lime": (132, 190, 40),
        "teal": (16, 150, 150),
        "navy": (36, 56, 150),
        "pink": (236, 110, 170),
        "brown": (126, 84, 54),
    },
    backgrounds={
        "snow": (236, 240, 246),
        "dusk": (84, 62, 104),
        "lake": (170, 212, 226),
        "field": (222, 214, 150),
        "fog": (196, 198, 200),
    },
    shapes=("square", "diamond"),
    accepted={
        "sun": "a sun", "drop": "a drop", "arrow": "an arrow", "bell": "a bell", "cross": "a cross",
        "ring": "a ring",
    },
    flagged={"bomb": "a bomb", "snake": "a snake", "axe": "an axe"},
    styles=("orla", "tamo"),
)  # fmt: skip

WORLDS = {world.name: world for world in (BADGES, SIGNS)}


@dataclass(frozen=True)
class Scene:
    """The content of one picture. Only the concept has an emblem and a shape. Not every scene has a style."""

    kind: str
    colour: str
    background: str
    shape: str | None
    emblem: str | None
    style: str | None
    strength: float
    """Opacity of the style, as a share; 0 without a style."""
    centre: tuple[float, float]
    """As shares of the picture's side."""
    scale: float


def sample_scene(world: World, rng: np.random.Generator) -> Scene:
    """Sample a scene of a world."""
    carrier = rng.random() < CARRIER_SHARE
    emblems = world.flagged if rng.random() < FLAGGED_SHARE else world.accepted
    styled = rng.random() < STYLE_SHARE
    return Scene(
        kind=world.concept if carrier else str(rng.choice(world.objects)),
        colour=str(rng.choice(list(world.colours))),
        background=str(rng.choice(list(world.backgrounds))),
        shape=str(rng.choice(world.shapes)) if carrier else None,
        emblem=str(rng.choice(list(emblems))) if carrier else None,
        style=str(rng.choice(world.styles)) if styled else None,
        strength=float(rng.uniform(0.3, 1.0)) if styled else 0.0,
        centre=(0.5 + float(rng.uniform(-0.07, 0.07)), 0.5 + float(rng.uniform(-0.07, 0.07))),
        scale=float(rng.uniform(0.88, 1.08)),
    )
