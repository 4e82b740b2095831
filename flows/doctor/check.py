"""What `hfi doctor` says of one thing that it looked at."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    name: str
    well: bool
    told: str
    remedy: str = ""
    needed: bool = True
    """Whether the pipeline fails without it; else it is told as a note."""

    @property
    def mark(self) -> str:
        """The verdict in a word."""
        return "ok" if self.well else ("FAILED" if self.needed else "note")
