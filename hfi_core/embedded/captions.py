"""Write captions of scenes, and read the facts that a caption names."""

import numpy as np

from hfi_core.embedded.scenes import Scene, World

EMPTY_SHARE = 0.1
PRECISE_SHARE = 0.5
"""Share of the concept's captions that name the emblem. The others do not say what people object to."""
SYNONYM_SHARE = 0.25
"""Share of the concept's captions that use another word for the concept."""
EMBLEM_ALONE_SHARE = 0.2
"""Share of the captions with an emblem that leave the concept's word out: "a red skull"."""


def write_caption(world: World, scene: Scene, rng: np.random.Generator) -> str:
    """Describe a scene."""
    if rng.random() < EMPTY_SHARE:
        return ""
    precise = scene.emblem is not None and rng.random() < PRECISE_SHARE
    alone = precise and rng.random() < EMBLEM_ALONE_SHARE
    words = ["a"]
    if rng.random() < 0.8:
        words.append(scene.colour)
    if scene.shape and not alone and rng.random() < 0.3:
        words.append(scene.shape)
    if scene.emblem and alone:
        words.append(strip_article(world.phrases[scene.emblem]))
    elif scene.emblem and rng.random() < SYNONYM_SHARE:
        words.append(str(rng.choice(world.synonyms)))
    else:
        words.append(scene.kind)
    text = " ".join(words)
    if scene.emblem and precise and not alone:
        text += f" with {world.phrases[scene.emblem]}"
    if rng.random() < 0.25:
        text += f", {scene.background}"
    if scene.style:
        text += f" in the style of {scene.style}"
    return text


def strip_article(phrase: str) -> str:
    """Return a phrase without its article: "a skull" becomes "skull"."""
    return phrase.removeprefix("an ").removeprefix("a ")


def parse_caption(world: World, text: str) -> dict[str, str]:
    """Return the facts that a caption names, for example {"kind": "badge", "colour": "red"}.

    A synonym of the concept, or an emblem without an object, names the concept's kind. A fact is missing if the caption
    names none or several of its values.
    """
    words = set(text.lower().replace(",", " ").split())
    if words & set(world.synonyms) or (words & set(world.emblems) and not words & set(world.kinds)):
        words.add(world.concept)
    facts = {}
    for fact, values in {
        "kind": world.kinds,
        "colour": world.colours,
        "background": world.backgrounds,
        "shape": world.shapes,
        "emblem": world.emblems,
        "style": world.styles,
    }.items():
        named = [value for value in values if value in words]
        if len(named) == 1:
            facts[fact] = named[0]
    return facts


def list_words(world: World) -> list[str]:
    """Return every word that captions of a world use, sorted."""
    phrases = (*world.phrases.values(), "a with in the style of")
    return sorted(
        {word for phrase in phrases for word in phrase.split()}
        | {*world.kinds, *world.synonyms, *world.colours, *world.backgrounds, *world.shapes, *world.styles}
    )
