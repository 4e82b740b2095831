"""The attacks by kind."""

from hfi_core.attacks import reinversion
from hfi_core.attacks.base import Attack
from hfi_core.params import AttackSettings, RegisteredAttack

KINDS: dict[str, Attack] = {
    "reinversion": reinversion.attack,
}


def find_attack(spec: AttackSettings) -> Attack:
    """Return the attack of a section of params, ours or that of another package."""
    return _attack_by_registered if isinstance(spec, RegisteredAttack) else KINDS[spec.kind]


def _attack_by_registered(target, spec: RegisteredAttack, **options):
    return spec.attack(target, **options)
