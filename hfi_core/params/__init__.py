"""All settings of a project as frozen models, with units and bounds. Nothing here imports torch."""

from hfi_core.params.erasure import (
    SDD,
    SLD,
    Anchored,
    Attack,
    ClosedForm,
    Imported,
    Negative,
    NoRemoval,
    Removal,
    is_learned,
    is_recipe,
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
    "EMBEDDED", "SDD", "SLD", "Agreement", "Anchored", "Annotation", "Attack", "ClosedForm", "Compute", "Concept",
    "Crowd", "Digest", "Evaluate", "Feedback", "Gate", "Imported", "Initial", "Invert", "JudgeParams", "Lora", "Name",
    "Negative", "NoRemoval", "Operations", "Params", "Prompt", "Publish", "RelativePath", "Release", "Removal",
    "Reward", "Sampler", "Science", "Share", "Source", "Suite", "Tracking", "Versioning", "is_learned", "is_recipe",
    "load_params", "parse_params",
]  # fmt: skip
