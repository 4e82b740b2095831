"""All settings of a project as frozen models, with units and bounds. Nothing here imports torch."""

from hfi_core.params.erasure import (
    DPO,
    ESD,
    RECE,
    SDD,
    UCE,
    Anchored,
    Attack,
    ClosedForm,
    Distillation,
    FineTuned,
    Learns,
    NoRemoval,
    RegisteredRemoval,
    Removal,
    RewardWeighted,
    Trained,
    is_learned,
)
from hfi_core.params.evaluation import Evaluate, Gate, JudgeParams, Lora, Release, Suite
from hfi_core.params.feedback import Agreement, Annotation, Concept, Crowd, Feedback, Initial
from hfi_core.params.loading import load_params, parse_params
from hfi_core.params.model import Compute, Sampler, Source
from hfi_core.params.operations import Operations, Publish, Tracking, Versioning
from hfi_core.params.root import Params, Science
from hfi_core.params.training import Invert, Reward
from hfi_core.params.values import EMBEDDED, Digest, Name, Prompt, RelativePath, Share

__all__ = [
    "DPO", "EMBEDDED", "ESD", "RECE", "SDD", "UCE", "Agreement", "Anchored", "Annotation", "Attack", "ClosedForm",
    "Compute", "Concept", "Crowd", "Digest", "Distillation", "Evaluate", "Feedback", "FineTuned", "Gate",
    "Initial", "Invert", "JudgeParams", "Learns", "Lora", "Name", "NoRemoval", "Operations", "Params", "Prompt",
    "Publish", "RegisteredRemoval", "RelativePath", "Release", "Removal", "Reward", "RewardWeighted", "Sampler",
    "Science", "Share", "Source", "Suite", "Tracking", "Trained", "Versioning", "is_learned", "load_params",
    "parse_params",
]  # fmt: skip
