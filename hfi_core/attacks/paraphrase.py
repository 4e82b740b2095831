"""Paraphrases: prompts that somebody wrote, or that another attack found. Nothing is searched."""

from pathlib import Path

from hfi_core.attacks.adversarial_words import draw_in_turn
from hfi_core.attacks.base import Found, Target
from hfi_core.errors import UserError
from hfi_core.params import Paraphrase
from hfi_core.progress import Progress
from hfi_core.prompts import mentions


def attack(target: Target, spec: Paraphrase, *, work: Path | None, progress: Progress) -> Found:
    """Draw those prompts in turn whose originals name the concept.

    Raises UserError if there is none.
    """
    pairs = [(p.prompt, p.adversarial_prompt) for p in spec.prompts if mentions(p.prompt, target.concept.text)]
    if not pairs:
        raise UserError(
            f"The attack {target.attacker.attack} has no prompt that contains {target.concept.text!r}, the text of the "
            f"concept {target.attacker.concept}. To fix this: add one to its prompts, with what stands for it."
        )
    return Found(draw_in_turn(target, pairs, spec.pictures))
