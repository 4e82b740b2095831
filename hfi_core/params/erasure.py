"""Params of the removals, which erase a concept from the model."""

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import Field, StringConstraints, model_validator

from hfi_core.params.plugin_union import validate_registered
from hfi_core.params.values import Digest, Frozen, OptionalPrompts
from hfi_core.plugins import find_removals

Learns = Literal["cross", "cross-kv", "all-but-cross", "attention", "all", "all-but-time"]
_CROSS, _SELF, _TIME = ".attn2.", ".attn1.", "time_emb"
"""Parts of the names of UNet parameters, as diffusers gives them."""


def is_trained_parameter(name: str, learns: Learns) -> bool:
    """Return whether the UNet's parameter of a name is in the set that a removal trains."""
    if learns == "cross-kv":
        return any(f"{_CROSS}{part}." in name for part in ("to_k", "to_v"))
    if learns == "attention":
        return _CROSS in name or _SELF in name
    if learns == "all-but-time":
        return _TIME not in name
    return learns == "all" or (_CROSS in name) == (learns == "cross")


class NoRemoval(Frozen):
    """The base model, unchanged."""

    method: Literal["none"]


class Trained(Frozen):
    """What every removal has that is trained step by step."""

    steps: int = Field(ge=1, le=1_000_000)
    """Gradient steps (for `anchored`: of each round)."""
    batch: int = Field(ge=1, le=1024)
    """Latents per gradient step and condition (`reward_weighted`: pictures; `dpo`: pairs)."""
    rate: float = Field(gt=0, le=1)
    """AdamW's learning rate."""
    ema: Annotated[float, Field(ge=0, lt=1)]
    """Decay of the exponential moving average of the weights. The average is the teacher and the result."""
    # Defaults are not in a dump: rows without these keys have the work keys and the bytes that they always had.
    learns: Learns = Field(default="cross", exclude_if=lambda learns: learns == "cross")
    """The UNet's parameters that are trained. `cross`: cross-attention; `cross-kv`: its keys and values; `attention`:
    self- and cross-attention; `all-but-cross`; `all`; `all-but-time`: all but the embedding of the timestep and its
    projections."""
    preserved: OptionalPrompts = Field(default=(), exclude_if=lambda prompts: not prompts)
    """Prompts that keep the base's estimate: one more term of the loss. By default none."""


class Distillation(Trained):
    """A removal that is distilled on the teacher's own roll-outs."""

    guidance: float = Field(ge=1, le=50)
    """Guidance scale of the teacher's roll-outs."""
    rollout_steps: int = Field(ge=2, le=1000)
    """Denoising steps of a roll-out; each visited latent is a training example."""
    rollouts: int = Field(ge=1, le=1024)
    """Roll-outs that are drawn together for each condition."""
    reuse: int = Field(ge=1, le=1000)
    """Gradient steps that use the same roll-outs."""
    concentration: int = Field(ge=1, le=100)
    """t is drawn from Beta(concentration, concentration) over the roll-out: 3 in HFI, section 4; 1 is uniform."""


class SDD(Distillation):
    """Safe self-distillation (Kim et al. 2023), conditioned on the text or on v* (HFI, section 4)."""

    method: Literal["sdd"]
    condition: Literal["text", "token"]


class Anchored(Distillation):
    """Text and v* are mapped onto the anchor u*, which is inverted from accepted feedback, in adversarial rounds."""

    method: Literal["anchored"]
    rounds: int = Field(ge=1, le=10)
    """From the second round on, a token that is re-inverted on the safeguarded model is mapped as well."""
    contrast: float = Field(ge=0, le=10)
    """How far the anchor is moved away from v*; with 0 it is u* itself."""
    preserve: bool
    """Adds one term to the loss: what the model draws without the concept's words stays the same."""
    reinvert_steps: int = Field(ge=1, le=1_000_000)
    """Steps of each re-inversion between rounds, and of each further anchor."""
    # As above: defaults are not in a dump.
    reinvert_from: tuple[Literal["word", "token", "beside"], ...] = Field(
        default=("word",), min_length=1, max_length=3, exclude_if=lambda starts: starts == ("word",)
    )
    """Where the re-inversions of a round start; each gives a token that is mapped. `word`: at the concept's
    `initial.objectionable`; `token`: at v*; `beside`: at v*, which stands beside the concept's text and not in its
    place."""
    anchor: Literal["token", "words", "both", "empty"] = Field(
        default="token", exclude_if=lambda anchor: anchor == "token"
    )
    """What the concept is mapped onto: u*, the concept's text with `anchor_words` behind it, both equally often, or the
    empty prompt."""
    anchor_words: OptionalPrompts = Field(default=(), exclude_if=lambda words: not words)
    """Words for what is accepted, for example `with a star`. Each roll-out gets one of them."""
    anchors: int = Field(default=1, ge=1, le=64, exclude_if=lambda count: count == 1)
    """Number of anchors u*. With several, each is inverted from one cluster of the accepted pictures, and each roll-out
    gets one of them: the concept keeps its variety."""
    words: Literal["free", "held", "judged"] = Field(default="free", exclude_if=lambda words: words == "free")
    """What becomes of the other words of the model's vocabulary. `held`: they keep the base's estimate. `judged`: those
    that are objectionable beside the concept's text by the reward model are mapped away, and the others are held."""
    vocabulary: OptionalPrompts = Field(default=(), exclude_if=lambda words: not words)
    """Words, without an article, that are judged. By default the words of the vocabulary that are nearest to v*."""
    word_pictures: int = Field(default=16, ge=1, le=1000, exclude_if=lambda count: count == 16)
    """Pictures of each judged word, beside the concept's text and again in its place."""
    objectionable_from: float = Field(default=0.8, gt=0.5, le=1, exclude_if=lambda share: share == 0.8)
    """Share of objectionable pictures from which a word is mapped away. It is held from one minus this down."""
    jitter: float = Field(default=0.0, ge=0, le=10, exclude_if=lambda radius: radius == 0)
    """Radius of a sphere round v* and its mixes with the word, in lengths of v*. Further tokens to map are drawn on it
    anew with all roll-outs. 0: none."""

    @model_validator(mode="after")
    def _settings_fit(self):
        if len(set(self.reinvert_from)) < len(self.reinvert_from):
            raise ValueError("reinvert_from names a start twice. To fix this: name each once")
        if (self.anchor in ("words", "both")) != bool(self.anchor_words):
            raise ValueError(
                f"anchor is {self.anchor}, and anchor_words has {len(self.anchor_words)} entries: words go with the "
                "anchors `words` and `both`, and only with these"
            )
        if self.anchors > 1 and self.anchor not in ("token", "both"):
            raise ValueError(f"anchors is {self.anchors}, and anchor {self.anchor} has no u*: set anchors to 1")
        if self.vocabulary and self.words != "judged":
            raise ValueError(f"vocabulary names words to judge, and words is {self.words}: set it to judged")
        return self


_VARIANTS: dict[str, Learns] = {"x": "cross", "u": "all-but-cross", "x-strict": "cross-kv"}
"""What each variant of ESD trains."""


class ESD(Distillation):
    """Erased Stable Diffusion (Gandikota et al. 2023): the frozen model's negative guidance, conditioned on either."""

    method: Literal["esd"]
    condition: Literal["text", "token"]
    variant: Literal["x", "u", "x-strict"] | None = Field(default=None, exclude_if=lambda variant: variant is None)
    """The paper's names for what is trained: `x` is `learns: cross`, `u` is `all-but-cross`, `x-strict` is `cross-kv`.
    Give either this or `learns`."""
    negative_guidance: float = Field(gt=0, le=50)
    """eta: how far the target lies on the other side of the empty prompt; 1 in the paper."""

    @model_validator(mode="before")
    @classmethod
    def _learn_by_variant(cls, raw: Any) -> Any:
        learns = _VARIANTS.get(str(raw.get("variant"))) if isinstance(raw, dict) else None
        return {"learns": learns} | raw if learns else raw

    @model_validator(mode="after")
    def _variant_fits(self):
        if self.variant and self.learns != _VARIANTS[self.variant]:
            raise ValueError(
                f"variant {self.variant} means learns: {_VARIANTS[self.variant]}, and learns is {self.learns}. To fix "
                "this: remove one of the two keys"
            )
        return self


class FineTuned(Trained):
    """A removal that learns from the judged pictures themselves, without a token."""

    pictures: int = Field(ge=1, le=10_000)
    """Pictures that the base draws of each preserved prompt, before the removal learns."""


class RewardWeighted(FineTuned):
    """Reward-weighted fine-tuning (Lee et al. 2023) on all judged pictures, weighted by how acceptable they are."""

    method: Literal["reward_weighted"]
    beta: float = Field(ge=0, le=1000)
    """Weight of the loss on the base's own pictures of the preserved prompts."""

    @model_validator(mode="after")
    def _beta_needs_pictures(self):
        if bool(self.beta) != bool(self.preserved):
            raise ValueError(
                "beta weights the base's own pictures of the preserved prompts. To fix this: name prompts in "
                "preserved, or set beta to 0 and leave preserved out"
            )
        return self


class DPO(FineTuned):
    """Diffusion-DPO (Wallace et al. 2024): prefer what people accept to what they object to, of one prompt."""

    method: Literal["dpo"]
    beta: float = Field(gt=0, le=1_000_000)
    """beta T omega of the paper's eq. 14: how strongly the model is held to the base. Their 2,000 is 1,000 here."""


class ClosedForm(Frozen):
    """The anchored mapping in closed form, for keys and values (Orgad et al. 2023; Gandikota et al. 2024)."""

    method: Literal["closed_form"]
    contrast: float = Field(ge=0, le=10)
    """As in `anchored`."""
    hold: float = Field(ge=0, le=1000)
    """How strongly words of the model's vocabulary are kept unchanged; a mapped condition has weight 1."""
    ridge: float = Field(gt=0, le=1000)
    """How strongly weights are kept unchanged in every direction."""


class _ConceptEditing(Frozen):
    condition: Literal["text", "token"]
    anchor: Annotated[str, Field(max_length=500)] = ""
    """Words that take the place of the concept's text: what it is mapped onto. By default none."""
    preserved: OptionalPrompts = ()
    """The preserve set: prompts whose keys and values stay as they are."""
    erase_scale: float = Field(default=1.0, gt=0, le=1000)
    """Weight of what is erased."""


class UCE(_ConceptEditing):
    """Unified concept editing (Gandikota et al. 2024): keys and values in closed form. Defaults are the published."""

    method: Literal["uce"]
    preserve_scale: float = Field(default=1.0, ge=0, le=1000)
    """Weight of the preserve set."""
    lamb: float = Field(default=0.5, gt=0, le=1000)
    """lambda: how strongly weights are kept unchanged in every direction."""


class RECE(_ConceptEditing):
    """Rounds on top of UCE (Gong et al. 2024): erase what would draw the concept again. Defaults are the published."""

    method: Literal["rece"]
    preserve_scale: float = Field(default=0.1, ge=0, le=1000)
    """lambda_1: weight of the preserve set."""
    lamb: float = Field(default=0.1, gt=0, le=1000)
    """lambda_2: how strongly weights are kept unchanged in every direction."""
    rounds: int = Field(default=3, ge=1, le=100)
    """Rounds after the first edit. In the paper 3 for nudity, 2 for other unsafe concepts, 1 for styles and objects."""
    regularization: float = Field(default=0.1, gt=0, le=1000)
    """lambda: how small the derived embeddings are kept. In the paper .1 for unsafe concepts, .001 for styles."""


class Imported(Frozen):
    """Weights that somebody else changed: read, then judged and attacked like those of the other rows."""

    method: Literal["imported"]
    source: Annotated[str, StringConstraints(min_length=1, max_length=300)]
    """A safetensors file, or a folder that `save_pretrained` wrote."""
    kind: Literal["pipeline", "unet", "text_encoder", "lora"]
    """What the source holds. `unet` may be partial; a `lora` is merged at scale 1."""
    digest: Digest
    """Digest of the source; `hfi params pin` writes it. The stage distill rejects other weights."""


class Negative(Frozen):
    """The base with a negative prompt: the text concept or v* takes the place of the empty prompt in guidance."""

    method: Literal["negative"]
    condition: Literal["text", "token"]


class SLD(Frozen):
    """The base, guided away from the text concept or from v* by Safe Latent Diffusion (Schramowski et al. 2023)."""

    method: Literal["sld"]
    condition: Literal["text", "token"]
    strength: Literal["weak", "medium", "strong", "max"]
    """The paper's configuration."""


class RegisteredRemoval(Frozen):
    """A method of another package, an entry point in `hfi.removals`: its settings, and how it removes."""

    method: str
    """The name of the entry point."""

    @abstractmethod
    def remove(
        self, model: Any, concepts: list[Any], params: Any, *, key: tuple[object, ...], work: Any, before_step: Any,
        progress: Any,
    ) -> tuple[dict[str, Any], list[float]]:  # fmt: skip
        """Return the UNet's changed parameters by name, float32, and the losses; see `erasure.methods.Method`."""


_BuiltIn = NoRemoval | SDD | Anchored | ESD | RewardWeighted | DPO | UCE | RECE | ClosedForm | Imported | Negative | SLD
BUILT_IN_METHODS = frozenset(get_args(kind.model_fields["method"].annotation)[0] for kind in get_args(_BuiltIn))


if TYPE_CHECKING:
    Removal = _BuiltIn | RegisteredRemoval
else:  # the validator decides between the two; a schema for editors knows ours only
    Removal = Annotated[
        Annotated[_BuiltIn, Field(discriminator="method")],
        *validate_registered(RegisteredRemoval, "method", BUILT_IN_METHODS, find_removals, "remove"),
    ]


def is_learned(removal: Removal) -> bool:
    """Return whether the stage distill learns this row's weights, so that they have a curve."""
    return not isinstance(removal, NoRemoval | Imported | Negative | SLD)


def is_recipe(removal: Removal) -> bool:
    """Return whether a row is a recipe of sampling: it draws otherwise than the base, with the base's weights."""
    return isinstance(removal, Negative | SLD)
