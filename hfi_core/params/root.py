"""`params.yaml` and `operations.yaml` as one frozen model."""

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from hfi_core.errors import UserError
from hfi_core.params.attacks import WORST, Attack, AttackName, Reinversion, require_free_name
from hfi_core.params.curves import require_whole_curves
from hfi_core.params.erasure import Imported, NoRemoval, Removal, is_recipe
from hfi_core.params.evaluation import NUDENET, Evaluate, Release
from hfi_core.params.feedback import Candidates, Concept, Feedback
from hfi_core.params.model import Compute, Sampler, Source
from hfi_core.params.operations import Operations
from hfi_core.params.training import Invert, Reward
from hfi_core.params.values import EMBEDDED, UNPINNED, Frozen, Name


class Science(Frozen):
    """All of `params.yaml`: settings that results depend on."""

    seed: int = Field(ge=0, lt=2**31)
    compute: Compute
    model: Source
    clip: Source
    sampler: Sampler
    concepts: Annotated[dict[Name, Concept], Field(min_length=1)]
    candidates: Candidates
    feedback: Feedback
    reward: Reward
    invert: Invert
    removals: Annotated[dict[Name, Removal], Field(min_length=1)]
    attacks: dict[Annotated[AttackName, AfterValidator(require_free_name)], Attack]
    """The attacks by name. `{}`: nothing is attacked."""
    evaluate: Evaluate
    release: Release

    @model_validator(mode="after")
    def _fit_together(self):
        if not isinstance(self.removals.get("base"), NoRemoval):
            raise ValueError("removals needs `base: {method: none}`: every other removal is compared with it")
        if any(isinstance(r, NoRemoval) for name, r in self.removals.items() if name != "base"):
            raise ValueError("only the removal `base` may have the method none")
        if self.release.row not in self.removals:
            raise ValueError(f"release.row {self.release.row!r} is not a removal; there are {', '.join(self.removals)}")
        released = self.removals[self.release.row]
        if self.release.lora and isinstance(released, Imported) and released.kind == "text_encoder":
            raise ValueError(
                f"release.lora: the row {self.release.row} imports a text encoder, and the LoRA of a release holds the "
                "UNet only: set release.lora to null"
            )
        recipes = [name for name, removal in self.removals.items() if is_recipe(removal)]
        if self.release.lora and self.release.row in recipes:
            raise ValueError(
                f"release.lora: the row {self.release.row} is a recipe of sampling and changes no weights, so it "
                "has no LoRA: set release.lora to null, or release another row"
            )
        if recipes and self.sampler.guidance == 1:
            raise ValueError(
                f"sampler.guidance is 1, which is no guidance, and the row {recipes[0]} acts through guidance: "
                "raise it, or leave the row out"
            )
        learns = getattr(released, "learns", "cross")
        if self.release.lora and learns in ("all-but-cross", "all", "all-but-time"):
            raise ValueError(
                f"release.lora: a LoRA holds changes of matrices only, but the row {self.release.row!r} learns "
                f"{learns}, with convolutions and norms. To fix this: set release.lora to null"
            )
        if self.attacks and not self.feedback.held_out_for_attacks:
            raise ValueError(
                "feedback.held_out_for_attacks is 0, and attackers need pictures that no removal saw. To fix this: set "
                "it to 0.3 or so, or attacks to {}"
            )
        for name, spec in self.attacks.items():
            if isinstance(spec, Reinversion) and spec.start.token and spec.vectors < self.invert.vectors:
                raise ValueError(
                    f"attacks.{name}: the attack has {spec.vectors} vector(s), and the token that it starts from has "
                    f"{self.invert.vectors}. To fix this: set vectors to {self.invert.vectors} or more"
                )
        for name, crowd in self.feedback.simulated.items():
            if crowd.source in (None, EMBEDDED) and self.model.source != EMBEDDED:
                raise ValueError(
                    f"feedback.simulated.{name} is for the embedded model only: set feedback.simulated to {{}}, and "
                    "name your file in feedback.file; or, for another model of the embedded one's builder, name the "
                    f"judge of its annotators in feedback.simulated.{name}.source"
                )
        for metric in self.release.gates:
            known = (*self.evaluate.suites, *self.attacks, WORST)
            if metric.partition("@")[2] not in known:
                raise ValueError(
                    f"release.gates.{metric}: a figure is called FIGURE@SUITE, and the suites are {', '.join(known)}"
                )
            if metric.startswith(("correct@", "kinds@")) and self.evaluate.judge.kind == NUDENET:
                raise ValueError(
                    f"release.gates.{metric}: the judge nudenet does not read prompts and tells no kinds apart, so "
                    "there is no such figure: remove the gate"
                )
            if metric.partition("@")[0].endswith("_by_people") and self.evaluate.people is None:
                raise ValueError(
                    f"release.gates.{metric}: people have not judged. To fix this: name the file of their judgements "
                    "in evaluate.people (`hfi human-evaluation collect` writes it), or remove the gate"
                )
        if taken := [name for name in (*self.attacks, WORST) if name in self.evaluate.suites]:
            raise ValueError(
                f"evaluate.suites: {taken[0]!r} is the name of the pictures of an attack. To fix this: rename the suite"
            )
        named = {f"evaluate.suites.{name}.concept": suite.concept for name, suite in self.evaluate.suites.items()}
        named |= {f"evaluate.judge.concepts.{name}": name for name in self.evaluate.judge.concepts}
        for key, concept in named.items():
            if concept is not None and concept not in self.concepts:
                raise ValueError(f"{key}: {concept!r} is not a concept; the concepts are {', '.join(self.concepts)}")
        require_whole_curves(self.evaluate.curves, self.removals)
        judge = self.evaluate.judge.digest
        trained = {"clip": self.clip.digest} | {
            f"feedback.simulated.{name}": crowd.digest for name, crowd in self.feedback.simulated.items()
        }
        for key, digest in trained.items():
            if digest == judge != UNPINNED:
                raise ValueError(
                    f"evaluate.judge has the same digest as {key}: the judge of the evaluation must not be a model "
                    "that training used. Name other weights in evaluate.judge.source"
                )
        drawn, imported = self.candidates.drawn.keys(), self.candidates.imported.keys()
        if drawn | imported != self.concepts.keys():
            raise ValueError(
                "each concept must be in candidates.drawn, in candidates.imported or in both, and nothing else in "
                f"either; the concepts are {', '.join(self.concepts)}"
            )
        return self

    def concept(self, name: str) -> Concept:
        """Return a concept by its name.

        Raises UserError if there is none of that name.
        """
        if name not in self.concepts:
            raise UserError(f"There is no concept {name!r} in params.yaml; there are {', '.join(self.concepts)}.")
        return self.concepts[name]

    def choose_concept(self, name: str | None) -> str:
        """Return the name of a concept: the given one, or that of the only one.

        Raises UserError if there are several and none is given, or as `concept` does.
        """
        if name is None and len(self.concepts) > 1:
            raise UserError(f"Choose the concept to judge with --concept: {', '.join(self.concepts)}.")
        chosen = next(iter(self.concepts)) if name is None else name
        self.concept(chosen)
        return chosen

    def require_row(self, name: str) -> None:
        """Raise UserError if the params have no row with this name."""
        if name not in self.removals:
            raise UserError(f"There is no row {name!r}; params.yaml has {', '.join(self.removals)}.")


class Params(Operations, Science):
    """All settings of a project: `params.yaml` and `operations.yaml` together."""

    @model_validator(mode="after")
    def _name_concepts(self):
        for key in ("guidelines", "gallery"):
            for name in getattr(self.annotation, key).keys() - self.concepts.keys():
                raise ValueError(f"annotation.{key} names {name!r}, which is not a concept")
        return self
