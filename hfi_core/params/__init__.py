"""All settings of a project as frozen models, with units and bounds. Nothing here imports torch."""

from hfi_core.params.attacks import (
    MMA,
    Attack,
    AttackSettings,
    LatentInversion,
    Paraphrase,
    RegisteredAttack,
    Reinversion,
    Relearning,
    RingABell,
    Start,
    TrainedAttack,
    UnlearnDiff,
)
from hfi_core.params.erasure import (
    DPO,
    ESD,
    RECE,
    SDD,
    SLD,
    UCE,
    Anchored,
    ClosedForm,
    Distillation,
    FineTuned,
    Imported,
    Learns,
    Negative,
    NoRemoval,
    RegisteredRemoval,
    Removal,
    RewardWeighted,
    Trained,
    is_learned,
    is_recipe,
    is_trained_parameter,
)
from hfi_core.params.evaluation import NUDENET, Evaluate, Gate, JudgeParams, Lora, Release, Suite
from hfi_core.params.feedback import Agreement, Annotation, Concept, Crowd, Feedback, Initial
from hfi_core.params.loading import load_params, parse_params
from hfi_core.params.model import Compute, Sampler, Source
from hfi_core.params.operations import Operations, Publish, Tracking, Versioning
from hfi_core.params.root import Params, Science
from hfi_core.params.training import Invert, Reward
from hfi_core.params.values import EMBEDDED, Digest, Name, Prompt, RelativePath, Share

__all__ = [
    "DPO", "EMBEDDED", "ESD", "MMA", "NUDENET", "RECE", "SDD", "SLD", "UCE", "Agreement", "Anchored", "Annotation",
    "Attack", "AttackSettings", "ClosedForm", "Compute", "Concept", "Crowd", "Digest", "Distillation", "Evaluate",
    "Feedback", "FineTuned", "Gate", "Imported", "Initial", "Invert", "JudgeParams", "LatentInversion", "Learns",
    "Lora", "Name", "Negative", "NoRemoval", "Operations", "Params", "Paraphrase", "Prompt", "Publish",
    "RegisteredAttack", "RegisteredRemoval", "Reinversion", "RelativePath", "Relearning", "Release", "Removal",
    "Reward", "RewardWeighted", "RingABell", "Sampler", "Science", "Share", "Source", "Start", "Suite", "Tracking",
    "Trained", "TrainedAttack", "UnlearnDiff", "Versioning", "is_learned", "is_recipe", "is_trained_parameter",
    "load_params", "parse_params",
]  # fmt: skip
