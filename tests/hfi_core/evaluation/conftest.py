"""The hand-made evaluation for the tests of this folder."""

from tests.support.measured_evaluation import evaluation, params, rows

__all__ = ["evaluation", "params", "rows"]
