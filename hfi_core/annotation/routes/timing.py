"""Give responses a duration that does not depend on what the server did."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

STEP_SECONDS = 0.04
"""An answer is saved in some milliseconds. People do not notice the rest: the page sends answers in the background."""


@asynccontextmanager
async def rounded_duration() -> AsyncIterator[None]:
    """Let a block last a multiple of `STEP_SECONDS`, also if it raises.

    Gold answers and judgements are saved in different databases. The time that this takes must not tell them apart.
    """
    start = time.monotonic()
    try:
        yield
    finally:
        await asyncio.sleep(-(time.monotonic() - start) % STEP_SECONDS)
