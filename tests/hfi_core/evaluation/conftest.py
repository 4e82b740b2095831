"""The hand-made evaluation that this room is tried on."""

from tests.support.measured_evaluation import evaluation, params, rows

__all__ = ["evaluation", "params", "rows"]
