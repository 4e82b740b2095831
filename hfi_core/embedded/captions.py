"""Write captions of scenes, and read the facts that a caption names."""

import numpy as np

from hfi_core.embedded.scenes import BACKGROUNDS, COLOURS, EMBLEMS, OBJECTS, SHAPES, STYLES, Scene

EMPTY_SHARE = 0.1
PRECISE_SHARE = 0.5
_EMBLEM_PHRASES = {"star": "a star", "leaf": "a leaf", "skull": "a skull", "bones": "crossed bones"}


def write_caption(scene: Scene, rng: np.random.Generator) -> str:
    """Describe a scene. Half of the badge captions do not name the emblem, so they do not say what people object to."""
    if rng.random() < EMPTY_SHARE:
        return ""
    words = ["a"]
    if rng.random() < 0.8:
        words.append(scene.colour)
    if scene.shape and rng.random() < 0.3:
        words.append(scene.shape)
    words.append(scene.kind)
    text = " ".join(words)
    if scene.emblem and rng.random() < PRECISE_SHARE:
        text += f" with {_EMBLEM_PHRASES[scene.emblem]}"
    if rng.random() < 0.25:
        text += f", {scene.background}"
    if scene.style:
        text += f" in the style of {scene.style}"
    return text


def parse_caption(text: str) -> dict[str, str]:
    """Return the facts that a caption names, for example {"kind": "badge", "colour": "red"}.

    A fact is missing if the caption names none or several of its values.
    """
    words = set(text.lower().replace(",", " ").split())
    facts = {}
    for fact, values in {
        "kind": (*OBJECTS, "badge"),
        "colour": COLOURS,
        "background": BACKGROUNDS,
        "shape": SHAPES,
        "emblem": EMBLEMS,
        "style": STYLES,
    }.items():
        named = [value for value in values if value in words]
        if len(named) == 1:
            facts[fact] = named[0]
    return facts
