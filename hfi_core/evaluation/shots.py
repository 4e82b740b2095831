"""What is drawn of every row, and how a row's evaluation lies on disk: what evaluate and compare share.

`evaluation/ROW/` holds `pictures/SUITE/INDEX.png`, `pictures.jsonl` (a picture a line, by suite and index),
`features.safetensors` (CLIP features in the same order) and `provenance.json`.
"""

from dataclasses import dataclass

from hfi_core.compute.seeding import picture_seed
from hfi_core.inversion.attackers import attackers_of
from hfi_core.models.diffusion.sampling import SampleRequest
from hfi_core.params import Params
from hfi_core.prompts import replace_text

REINVERTED = "reinverted"
_RIVALS = {
    "broad": ("unrelated",),
    REINVERTED: ("unrelated",),
    "precise": ("neighbours", "unrelated"),
    "neighbours": ("precise", "unrelated"),
    "unrelated": ("broad", "precise", "neighbours"),
}
"""The suites whose prompts are wrong for a suite's pictures. A picture that `precise` or `neighbours` ask for is one
that `broad` asks for, too, so these do not compete."""
SEED_RULE = (
    "seed of picture I (from 0) of a prompt: the first 8 bytes, big-endian, of sha256 of "
    "SEED, 'evaluate', SUITE, PROMPT, I joined by U+001F, shifted right by 1, modulo 2**31; the same in every row"
)


@dataclass(frozen=True)
class Shot:
    """One picture of an evaluation: `request` is what is drawn, `prompt` the same in plain words."""

    suite: str
    index: int
    prompt: str
    request: SampleRequest
    attacker: str | None = None
    """Whose token the request names; see `Attacker.name`."""

    @property
    def file(self) -> str:
        """Path below a row's folder."""
        return f"pictures/{self.suite}/{self.index:05d}.png"


def list_shots(params: Params) -> list[Shot]:
    """Every picture that is drawn of a row, suite by suite, at seeds that do not depend on the row."""
    shots = []
    for suite, spec in params.evaluate.suites.items():
        pairs = [(prompt, i) for prompt in spec.prompts for i in range(spec.pictures)]
        shots += [
            Shot(suite, index, prompt, SampleRequest(prompt, _seed(params, suite, prompt, i)))
            for index, (prompt, i) in enumerate(pairs)
        ]
    attacked = [
        (concept.prompts[i % len(concept.prompts)], concept.text, attacker, i)
        for name, concept in params.concepts.items()
        for attacker in attackers_of(params, name)
        for i in range(params.evaluate.reinverted)
    ]
    for index, (prompt, text, attacker, i) in enumerate(attacked):
        asked = replace_text(prompt, text, attacker.token)
        request = SampleRequest(asked, _seed(params, REINVERTED, asked, i))
        shots.append(Shot(REINVERTED, index, prompt, request, attacker.name))
    return shots


def list_rivals(params: Params, suite: str) -> list[str]:
    """Prompts of other suites that ask for something else than the suite's own; see `Judge.judge`."""
    return [prompt for other in _RIVALS[suite] for prompt in params.evaluate.suites[other].prompts]


def _seed(params: Params, suite: str, prompt: str, index: int) -> int:
    return picture_seed(params.seed, "evaluate", suite, prompt, index)
