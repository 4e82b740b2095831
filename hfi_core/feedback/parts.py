"""Which pictures the pipeline learns from, and which are kept for the attacker."""

import hashlib
from typing import Literal

Part = Literal["learn", "attack"]


def part_of(picture: str, held_out: float) -> Part:
    """The part of a picture, by a hash of its id: the same in every run, whatever other pictures there are.

    A larger `held_out` share moves pictures from "learn" to "attack" and none the other way.
    """
    digest = hashlib.sha256(f"attack\x1f{picture}".encode()).digest()
    return "attack" if int.from_bytes(digest[:8], "big") < held_out * 2**64 else "learn"
