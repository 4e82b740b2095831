"""List the pictures that the evaluation draws of every variant: suites, prompts and seeds."""

from dataclasses import dataclass

from hfi_core.compute.seeding import picture_seed
from hfi_core.inversion.attackers import list_attackers
from hfi_core.models.diffusion.sampling import SampleRequest
from hfi_core.params import Evaluate, Params
from hfi_core.params.evaluation import Role
from hfi_core.prompts import replace_text

REINVERTED = "reinverted"
_RIVALS: dict[str, tuple[Role, ...]] = {
    "broad": ("unrelated",),
    "synonyms": ("unrelated",),
    REINVERTED: ("unrelated",),
    "precise": ("neighbours", "unrelated"),
    "unnamed": ("neighbours", "unrelated"),
    "neighbours": ("precise", "unnamed", "unrelated"),
    "unrelated": ("broad", "precise", "neighbours", "unnamed", "synonyms"),
}
"""For each role, the roles whose prompts are wrong for its pictures. Pictures of `precise` and `neighbours` are right
for the prompts of `broad`, too, so `broad` is not a rival of these two."""
SEED_RULE = (
    "seed of picture I (from 0) of a prompt: the first 8 bytes, big-endian, of sha256 of "
    "SEED, 'evaluate', SUITE, PROMPT, I joined by U+001F, shifted right by 1, modulo 2**31; in a suite with seeds of "
    "its own, the prompt's; the same in every row"
)


@dataclass(frozen=True)
class Shot:
    """One picture to draw. `prompt` is the request's prompt in plain words, without an attacker's token."""

    suite: str
    index: int
    prompt: str
    request: SampleRequest
    attacker: str | None = None
    """Name of the attacker whose token the request contains."""
    concept: str | None = None
    """The concept that the verdict is about, where the suite is of one concept."""

    @property
    def file(self) -> str:
        """Path below the variant's folder."""
        return f"pictures/{self.suite}/{self.index:05d}.png"


def list_suite_shots(params: Params) -> list[Shot]:
    """List the pictures of the suites that params name, suite by suite. Seeds do not depend on the variant."""
    shots = []
    for suite, spec in params.evaluate.suites.items():
        requests = [
            SampleRequest(
                prompt,
                spec.seeds[number] if spec.seeds else _seed(params.seed, suite, prompt, i),
                spec.guidances[number] if spec.guidances else None,
            )
            for number, prompt in enumerate(spec.prompts)
            for i in range(spec.pictures)
        ]
        shots += [
            Shot(suite, index, request.prompt, request, concept=spec.concept) for index, request in enumerate(requests)
        ]
    return shots


def list_shots(params: Params) -> list[Shot]:
    """List every picture to draw of a variant: the suites of params, then pictures with the attackers' tokens."""
    shots = list_suite_shots(params)
    attacked = [
        (concept.prompts[i % len(concept.prompts)], concept.text, attacker, i)
        for name, concept in params.concepts.items()
        for attacker in list_attackers(params.attack, name)
        for i in range(params.evaluate.reinverted)
    ]
    for index, (prompt, text, attacker, i) in enumerate(attacked):
        attack_prompt = replace_text(prompt, text, attacker.token)
        request = SampleRequest(attack_prompt, _seed(params.seed, REINVERTED, attack_prompt, i))
        shots.append(Shot(REINVERTED, index, prompt, request, attacker.name))
    return shots


def list_rivals(evaluate: Evaluate, suite: str) -> list[str]:
    """List the prompts of other suites that are wrong for this suite's pictures; see `Judge.judge`.

    A suite of another concept is no rival, unless this suite is of none: one picture may be right for two concepts.
    """
    concept = evaluate.suites[suite].concept if suite in evaluate.suites else None
    return [
        prompt
        for role in _RIVALS[role_of(evaluate, suite)]
        for other in evaluate.suites_of(role)
        if concept is None or evaluate.suites[other].concept in (None, concept)
        for prompt in evaluate.suites[other].prompts
    ]


def role_of(evaluate: Evaluate, suite: str) -> str:
    """Return the role of a suite; that of the attackers' pictures is `reinverted`."""
    return evaluate.suites[suite].role if suite in evaluate.suites else REINVERTED


def _seed(seed: int, suite: str, prompt: str, index: int) -> int:
    return picture_seed(seed, "evaluate", suite, prompt, index)
