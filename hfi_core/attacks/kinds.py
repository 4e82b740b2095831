"""The attacks by kind."""

from hfi_core.attacks import latent_inversion, mma, paraphrase, reinversion, relearning, ring_a_bell, unlearndiff
from hfi_core.attacks.base import Attack
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


def _attack_by_registered(target, spec: RegisteredAttack, **options):
    return spec.attack(target, **options)
