"""The attacks by kind."""

from hfi_core.attacks import latent_inversion, mma, paraphrase, reinversion, relearning, ring_a_bell, unlearndiff
from hfi_core.attacks.base import Attack, Found, Target
from hfi_core.errors import UserError
from hfi_core.params import AttackSettings, RegisteredAttack

KINDS: dict[str, Attack] = {
    "reinversion": reinversion.attack,
    "unlearndiff": unlearndiff.attack,
    "ring-a-bell": ring_a_bell.attack,
    "mma": mma.attack,
    "paraphrase": paraphrase.attack,
    "relearning": relearning.attack,
    "latent_inversion": latent_inversion.attack,
}


def find_attack(spec: AttackSettings) -> Attack:
    """Return the attack of a section of params, ours or that of another package."""
    return _attack_by_registered if isinstance(spec, RegisteredAttack) else KINDS[spec.kind]


def _attack_by_registered(target: Target, spec: RegisteredAttack, **options) -> Found:
    """Call the attack of another package, and check what it found."""
    found = spec.attack(target, **options)
    if not isinstance(found, Found) or not found.prompts:
        raise UserError(
            f"The attack {spec.kind!r} of another package returned no prompts (hfi_core.attacks.base.Found with at "
            "least one is expected). To fix this: ask its authors."
        )
    for weights in found.weights.values():
        target.model.require_fitting(weights, f"The attack {spec.kind!r}")
    return found
