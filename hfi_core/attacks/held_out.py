"""Choose the held-out pictures that an attack works on."""

import torch

from hfi_core.attacks.base import Target
from hfi_core.errors import UserError
from hfi_core.inversion.textual_inversion import TrainingExamples


def best_examples(target: Target, count: int) -> TrainingExamples:
    """Return the `count` held-out pictures that people object to most, each with a prompt.

    A picture without a prompt, or from people who named none, gets the concept's text.

    Raises UserError if there are fewer.
    """
    examples = target.load_examples()
    if len(examples.latents) < count:
        raise UserError(
            f"The attack {target.attacker.attack} asks for {count} held-out pictures of {target.attacker.concept} that "
            f"people object to, and there are {len(examples.latents)}. To fix this: lower its number in params.yaml, "
            "or raise feedback.held_out_for_attacks."
        )
    rows = torch.argsort(examples.weights, descending=True, stable=True)[:count]
    prompts = [examples.prompts[row] or target.concept.text for row in rows.tolist()]
    return TrainingExamples(examples.latents[rows], prompts, examples.weights[rows])
