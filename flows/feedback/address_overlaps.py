"""Find addresses of a project that overlap: the inbox moves and deletes what lies below it.

An address overlaps another one if it is equal to it, or lies above or below it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from flows.tracking.client import artifact_location
from flows.versioning.repo import read_remotes
from hfi_core.errors import UserError, listed
from hfi_core.params import Params
from hfi_core.pipeline.graph import units_of

_S3 = "s3"


@dataclass(frozen=True)
class Address:
    """Where something of the project lies: an address in S3, or a folder."""

    owner: str
    """The key of the setting, or what else names the address."""
    text: str
    parts: tuple[str, ...]
    endpoint: str | None = None
    """The S3 server, if a setting names it."""

    def overlaps(self, other: "Address") -> bool:
        """Return whether the addresses are equal, or one lies below the other."""
        if self.endpoint and other.endpoint and self.endpoint.rstrip("/") != other.endpoint.rstrip("/"):
            return False  # buckets of the same name on two servers
        return all(mine == theirs for mine, theirs in zip(self.parts, other.parts, strict=False))


def require_separate_addresses(params: Params, contact_server: bool = False) -> None:
    """Raise UserError if addresses of the project overlap, with each pair.

    `taken/` and `rejected/` lie inside the inbox, and are a part of it. `contact_server`: as in `artifact_location`.
    """
    overlaps = find_overlaps(params, contact_server)
    if overlaps:
        raise UserError(
            f"Addresses of this project overlap:\n{listed(overlaps, as_lines=True)}\n"
            "  To fix this: give each a folder or prefix of its own that is not above another one, such as "
            "s3://bucket/inbox, s3://bucket/releases and s3://bucket/dvc."
        )


def find_overlaps(params: Params, contact_server: bool = False) -> list[str]:
    """Return a line for each two addresses that overlap. Two outputs of stages are not compared."""
    named, outputs = list(_named_addresses(params, contact_server)), list(_outputs(params))
    pairs = [*combinations(named, 2), *((address, output) for address in named for output in outputs)]
    return [f"{one.owner} ({one.text}) and {other.owner} ({other.text})" for one, other in pairs if one.overlaps(other)]


def _named_addresses(params: Params, contact_server: bool) -> Iterator[Address]:
    endpoint = params.publish.endpoint
    if params.feedback.inbox:
        yield _address("feedback.inbox", params.feedback.inbox, endpoint)
    yield _address("publish.to", params.publish.to, endpoint)
    for name, (url, server) in read_remotes().items():
        yield _address(f"DVC remote {name}", url, server)
    if location := artifact_location(params, contact_server):
        yield _address("MLflow's artifacts", location)


def _outputs(params: Params) -> Iterator[Address]:
    tops = {path.parts[0] for unit in units_of(params) for path in unit.outputs.values()}
    for top in sorted(tops):
        yield _address("the outputs of stages", top)


def _address(owner: str, text: str, endpoint: str | None = None) -> Address:
    scheme, separator, rest = text.partition("://")
    if separator and scheme != "file":
        scheme = _S3 if scheme in ("s3a", "s3n") else scheme
        return Address(owner, text, (scheme, *(part for part in rest.split("/") if part)), endpoint)
    path = (Path.cwd() / (rest if separator else text)).resolve()
    return Address(owner, text, path.parts)
