"""Check which rows make a curve of removal: one technique at several strengths, each as often as it was trained."""

from collections.abc import Mapping, Sequence

from hfi_core.params.erasure import NoRemoval, Removal


def require_whole_curves(curves: Mapping[str, Sequence[Sequence[str]]], removals: Mapping[str, Removal]) -> None:
    """Raise ValueError if a curve names a wrong row, mixes techniques, or has repetitions that differ in settings."""
    seen: dict[str, str] = {}
    for name, repetitions in curves.items():
        where = f"evaluate.curves.{name}"
        rows = [row for repetition in repetitions for row in repetition]
        for row in rows:
            if row not in removals or isinstance(removals[row], NoRemoval):
                raise ValueError(f"{where}: {row!r} is not a removal, or it is base, where every curve begins anyway")
            if row in seen:
                raise ValueError(f"{where}: the row {row!r} is on the curve {seen[row]} already: a row is one point")
            seen[row] = name
        if len({(removals[row].method, getattr(removals[row], "condition", None)) for row in rows}) > 1:
            raise ValueError(f"{where}: its rows differ in method or condition, and a curve has one of each")
        first = [removals[row] for row in repetitions[0]]
        for repetition in repetitions[1:]:
            if [removals[row] for row in repetition] != first:
                raise ValueError(
                    f"{where}: {', '.join(repetition)} and {', '.join(repetitions[0])} differ in their settings. "
                    "Repetitions differ in the rows' names alone, from which each row has its own random numbers"
                )


def describe_strength(row: str, repetition: Sequence[str], removals: Mapping[str, Removal]) -> str:
    """Return the settings of a row that differ along its curve: `steps 50`. Empty if the curve has one row."""
    dumps = {name: removals[name].model_dump(mode="json") for name in repetition}
    return ", ".join(
        f"{key.replace('_', ' ')} {value}"
        for key, value in dumps[row].items()
        if any(dump.get(key) != value for dump in dumps.values())
    )
