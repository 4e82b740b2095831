"""Decide what follows from the registry's state: a pure function, which reads and writes nothing."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from flows.releases.champion import Promotion, RegistryState, predecessors_of

Outcome = Literal["none", "unchanged", "promoted", "undone", "moved", "dangling"]
REFUSED, OVERRIDE, APPROVED = "promotion_refused", "override", "approved_by"
"""Tags of a version: why its promotion was undone, why a failed gate may stand, and who approved it."""
UNKNOWN = "not told"
"""Who approved a promotion, if no tag says it."""


@dataclass(frozen=True)
class Inspection:
    """What was checked about a version that the alias points at and no decision is recorded on."""

    release: Path | None = None
    """Its files, downloaded and checked; None if they are damaged."""
    damage: str | None = None
    """Why its files or records cannot be trusted. No override helps against that."""
    failed_gates: tuple[str, ...] = ()
    """Each gate that its figures fail. The gates of a version that was champion before are not checked."""


@dataclass(frozen=True)
class Decision:
    """What a pass has to write. It writes nothing for a field that is empty."""

    outcome: Outcome
    version: str | None = None
    """The version that the alias points at."""
    champion: str | None = None
    """The version that the alias points at afterwards."""
    reasons: tuple[str, ...] = ()
    """Why the promotion is undone, or what an override overrides."""
    published: str | None = None
    """Address of the champion's release."""
    tags: tuple[tuple[str, str], ...] = ()
    """For people's eyes; only the record counts."""
    record: Promotion | None = None
    """Without time and address until the release is published."""
    last_decision: int | None = None
    used_tags: tuple[str, ...] = ()
    """To delete after the record: otherwise they would count for the next promotion of this version, too."""

    def with_publication(self, address: str, at: str) -> "Decision":
        """Return the decision to promote with the address of the published release and the time in its record."""
        assert self.record is not None, "only a decision to promote has a record"
        record = replace(self.record, published=address, at=at)
        tags = (("promoted_at", at), ("promoted_by", record.by), ("published", address))
        return replace(self, record=record, published=address, tags=tags)


def decide(state: RegistryState, inspection: Inspection | None = None) -> Decision:
    """Return what to write so that registry and publication agree with the alias `champion`.

    `inspection` is required if `state.undecided` is a version.
    """
    alias, champion = state.alias, state.champion
    if alias is None:
        # The alias was taken away. A promotion that is undone later must not bring that champion back.
        return Decision("none", last_decision=champion.number + 1 if champion else None)
    if alias not in state.versions:  # deleted since
        return Decision("moved", alias)
    if champion and champion.version == alias:
        return _complete(state, champion)
    if inspection is None:
        raise ValueError(f"version {alias} has to be inspected before it is decided on")
    override = state.versions[alias].tags.get(OVERRIDE, "").strip() or None
    if inspection.damage or (inspection.failed_gates and not override):
        reasons = (inspection.damage,) if inspection.damage else inspection.failed_gates
        return Decision("undone", alias, champion.version if champion else None, reasons)
    return _promote(state, alias, inspection, override)


def _complete(state: RegistryState, champion: Promotion) -> Decision:
    """Complete a recorded promotion: a pass may have died after the record, and people may say late who approved it."""
    tags = state.versions[champion.version].tags
    approver = tags.get(APPROVED, "").strip()
    is_named_late = champion.by == UNKNOWN and bool(approver)
    return Decision(
        "unchanged",
        champion.version,
        champion.version,
        published=tags.get("published", champion.published),
        tags=(("promoted_by", approver),) if is_named_late else (),
        record=replace(champion, by=approver) if is_named_late else None,
        last_decision=champion.number if state.last_decision < champion.number else None,
        used_tags=_used_tags(tags),
    )


def _promote(state: RegistryState, alias: str, inspection: Inspection, override: str | None) -> Decision:
    tags = state.versions[alias].tags
    last = state.records[0] if state.records else None
    earlier = next((record.override for record in state.records if record.version == alias), None)
    number = max(state.last_decision, last.number if last else 0) + 1
    record = Promotion(
        version=alias,
        number=number,
        at="",
        by=tags.get(APPROVED, "").strip() or UNKNOWN,
        published="",
        override=override if inspection.failed_gates else earlier,
        line=predecessors_of(alias, last),
    )
    return Decision(
        "promoted",
        alias,
        alias,
        reasons=inspection.failed_gates,
        record=record,
        last_decision=number,
        used_tags=_used_tags(tags),
    )


def _used_tags(tags: dict[str, str]) -> tuple[str, ...]:
    return tuple(key for key in (REFUSED, APPROVED) if key in tags)
