"""The flows on the small graph, as a deployment's entrypoint names them: a worker's process imports this module."""

import sys

from tests.support import fakes

fakes.install()

from flows.maintenance import tend  # noqa: E402
from flows.promotions import promotions  # noqa: E402 - the small graph first
from flows.reevaluation import reevaluate  # noqa: E402
from flows.safeguard import safeguard  # noqa: E402

__all__ = ["promotions", "reevaluate", "safeguard", "tend"]


def tend_once() -> None:
    """Run the flow with the deployment, judgements and grace that the command gives; print its state's message."""
    deployment, judgements, *grace = sys.argv[1:]
    print(tend(deployment, int(judgements), *map(float, grace), return_state=True).message)
