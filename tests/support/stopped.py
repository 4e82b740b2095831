"""A run that ends in the middle, in this process: what it had not written by then is gone, as after a kill."""

from collections.abc import Callable


class Stopped(Exception):
    """The run was stopped."""


def stop_at(last: int | None) -> Callable[..., None]:
    """An observer of steps that does not come back from one of them."""

    def observe(step: int, *_: object) -> None:
        if step == last:
            raise Stopped

    return observe
