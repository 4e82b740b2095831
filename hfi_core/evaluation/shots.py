"""List the pictures that the evaluation draws of a variant: suites, prompts and seeds."""

from dataclasses import dataclass
from pathlib import Path

from hfi_core.attacks.files import AttackCase, list_attacks, read_cases
from hfi_core.compute.seeding import picture_seed
from hfi_core.models.diffusion.sampling import SampleRequest
from hfi_core.params import Evaluate, Params
from hfi_core.params.evaluation import Role

_RIVALS: dict[Role, tuple[Role, ...]] = {
    "broad": ("unrelated",),
    "synonyms": ("unrelated",),
    "precise": ("neighbours", "unrelated"),
    "unnamed": ("neighbours", "unrelated"),
    "neighbours": ("precise", "unnamed", "unrelated"),
    "unrelated": ("broad", "precise", "neighbours", "unnamed", "synonyms"),
}
"""For each role, the roles whose prompts are wrong for its pictures; for an attack as for `broad`. Pictures of
`precise` and `neighbours` are right for the prompts of `broad`, too, so `broad` is not a rival of these two."""
SEED_RULE = (
    "seed of picture I (from 0) of a prompt: the first 8 bytes, big-endian, of sha256 of "
    "SEED, 'evaluate', SUITE, PROMPT, I joined by U+001F, shifted right by 1, modulo 2**31; the same in every row. "
    "A suite may give its own seeds, and an attack may choose them"
)


@dataclass(frozen=True)
class Shot:
    """One picture to draw. `prompt` is the request's prompt in plain words, as it was before an attack."""

    suite: str
    index: int
    prompt: str
    request: SampleRequest
    attacker: str | None = None
    """Name of the attacker who found the request; None without an attack."""
    concept: str | None = None
    """The concept that the verdict is about; None where the suite is of no single one."""
    guidance: float | None = None
    """None: that of `sampler`."""
    latents: tuple[Path, int] | None = None
    """Folder of the attack and number of the case whose latents the picture starts from."""
    weights: tuple[Path, str] | None = None
    """Folder of the attack and name of the changed weights that the picture is drawn with."""

    @property
    def file(self) -> str:
        """Path below the variant's folder."""
        return f"pictures/{self.suite}/{self.index:05d}.png"


def look_suite(attack: str, step: int) -> str:
    """Return the suite of the pictures that show an attack after so many of the attacker's steps."""
    return f"{attack}.{step}"


def original_suite(attack: str) -> str:
    """Return the suite of an attack's original prompts, drawn without the attack."""
    return f"{attack}.original"


def list_suite_shots(params: Params) -> list[Shot]:
    """List the pictures of the suites that params name, suite by suite. Seeds do not depend on the variant."""
    shots = []
    for suite, spec in params.evaluate.suites.items():
        requests = [(number, prompt, i) for number, prompt in enumerate(spec.prompts) for i in range(spec.pictures)]
        for index, (number, prompt, i) in enumerate(requests):
            seed = spec.seeds[number] if spec.seeds else picture_seed(params.seed, "evaluate", suite, prompt, i)
            guidance = spec.guidances[number] if spec.guidances else None
            shot = Shot(suite, index, prompt, SampleRequest(prompt, seed), concept=spec.concept, guidance=guidance)
            shots.append(shot)
    return shots


def list_shots(params: Params, attacks: Path | None) -> list[Shot]:
    """List every picture to draw of a variant: the suites of params, then what the attacks found (`attacks/ROW`).

    Raises UserError if an attack's prompts cannot be read.
    """
    shots = list_suite_shots(params)
    for folder in list_attacks(attacks) if attacks else ():
        shots += _list_attack_shots(params, folder)
    return shots


def _list_attack_shots(params: Params, folder: Path) -> list[Shot]:
    cases, name = read_cases(folder), folder.name
    ended = [case for case in cases if case.step is None]
    shots = [_attack_shot(params, name, index, case, folder) for index, case in enumerate(ended)]
    if params.attacks[name].has_originals:
        shots += [_original_shot(params, name, index, case) for index, case in enumerate(ended)]
    for step in sorted({case.step for case in cases if case.step is not None}):
        looks = [case for case in cases if case.step == step]
        suite = look_suite(name, step)
        shots += [_attack_shot(params, suite, index, case, folder) for index, case in enumerate(looks)]
    return shots


def _attack_shot(params: Params, suite: str, index: int, case: AttackCase, folder: Path) -> Shot:
    return Shot(
        suite,
        index,
        case.prompt,
        SampleRequest(case.adversarial_prompt, case.evaluation_seed),
        case.attacker,
        case.concept,
        guidance=_own_guidance(params, case),
        latents=(folder, case.case_number) if case.latents else None,
        weights=(folder, case.weights) if case.weights else None,
    )


def _original_shot(params: Params, name: str, index: int, case: AttackCase) -> Shot:
    request = SampleRequest(case.prompt, case.evaluation_seed)
    suite, guidance = original_suite(name), _own_guidance(params, case)
    return Shot(suite, index, case.prompt, request, case.attacker, case.concept, guidance=guidance)


def _own_guidance(params: Params, case: AttackCase) -> float | None:
    return None if case.evaluation_guidance == params.sampler.guidance else case.evaluation_guidance


def list_rivals(evaluate: Evaluate, suite: str) -> list[str]:
    """List the prompts of other suites that are wrong for this suite's pictures; see `Judge.judge`.

    A suite of another concept is not a rival, because one picture may be right for two concepts. If this suite has no
    concept, suites of all concepts are rivals.
    """
    spec = evaluate.suites.get(suite)
    role, concept = (spec.role, spec.concept) if spec else ("broad", None)
    return [
        prompt
        for other in evaluate.suites.values()
        if other.role in _RIVALS[role] and (concept is None or other.concept in (None, concept))
        for prompt in other.prompts
    ]
