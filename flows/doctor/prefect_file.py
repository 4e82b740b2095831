"""What the checks take from `prefect.yaml`: the work pools, and the address of the annotation page."""

from collections.abc import Iterator
from typing import Any

from flows.orchestration.deployment import entries


def work_pools() -> list[str]:
    """The pools that deployments name, each once."""
    pools = (one.get("work_pool") for one in _deployments())
    return sorted({pool["name"] for pool in pools if isinstance(pool, dict) and pool.get("name")})


def pages() -> list[str]:
    """The addresses of the annotation page that deployments name, each once."""
    parameters = (one.get("parameters") for one in _deployments())
    return sorted({one["page"] for one in parameters if isinstance(one, dict) and one.get("page")})


def _deployments() -> Iterator[dict[str, Any]]:
    """Those that are of Prefect's form; `hfi deploy` complains about others."""
    yield from (one for one in entries() if isinstance(one, dict))
