"""The flows on the small graph, as a deployment's entrypoint names them: a worker's process imports this module."""

from tests.flows import fakes

fakes.install()

from flows.promotion_flow import promotions  # noqa: E402 - the small graph first
from flows.reevaluation_flow import reevaluate  # noqa: E402
from flows.safeguard import safeguard  # noqa: E402
from flows.tending import tend  # noqa: E402

__all__ = ["promotions", "reevaluate", "safeguard", "tend"]
