"""How often something may be asked: at the door by person and address, behind it by session. Kept in memory."""

import ipaddress
from contextlib import suppress

from fastapi import Request
from limits import RateLimitItem, RateLimitItemPerHour, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

Limit = tuple[RateLimitItem, tuple[str, ...]]
"""How often, and what is counted."""

RETRY = {"Retry-After": "60"}
_BY_PERSON = (RateLimitItemPerMinute(5), RateLimitItemPerHour(30))
"""Attempts at one name from one address."""
_BY_NAME = RateLimitItemPerMinute(30)
"""Attempts at one name from all addresses together. A minute only: who guesses from many addresses can keep the name's
owner waiting for as long as that goes on, and no longer."""
_BY_ADDRESS = (RateLimitItemPerMinute(20), RateLimitItemPerHour(200))
"""Attempts from one address: a whole office may share it."""
_INVITATIONS = (RateLimitItemPerMinute(30), RateLimitItemPerHour(300))
"""Invitations looked at or used from one address."""
_REQUESTS = RateLimitItemPerMinute(1200)
"""Questions, answers and skips of one session. Nobody answers twenty a second; a browser that sends what had waited may
meet it, and goes on a few seconds later."""
_NETWORK = 64
"""Bits of an IPv6 address that one household or machine has to itself."""


def is_guessing(request: Request, name: str) -> bool:
    """Count an attempt to sign in; whether there were too many at this name or from this address."""
    address = address_of(request)
    own = [(item, ("person", address, name.casefold())) for item in _BY_PERSON]
    own += [(item, ("address", address)) for item in _BY_ADDRESS]
    # What is refused for its address is no attempt at the name: one address alone keeps nobody out.
    return _too_often(request, own) or _too_often(request, [(_BY_NAME, ("name", name.casefold()))])


def is_trying_links(request: Request) -> bool:
    """Count a look at an invitation; whether there were too many from this address."""
    return _too_often(request, [(item, ("invitation", address_of(request))) for item in _INVITATIONS])


def is_too_frequent(request: Request) -> bool:
    """Count a request of a session; whether there were more than any person sends."""
    return _too_often(request, [(_REQUESTS, ("session", request.state.session.id))])


def address_of(request: Request) -> str:
    """Where a request comes from: an IPv4 address, or the network of an IPv6 one, in which anybody has many."""
    host = request.client.host if request.client else "unknown"
    with suppress(ValueError):
        address = ipaddress.ip_address(host.partition("%")[0])
        if address.version == 6 and address.ipv4_mapped:
            return str(address.ipv4_mapped)
        if address.version == 6:
            return str(ipaddress.ip_network((address, _NETWORK), strict=False))
    return host


def _too_often(request: Request, limits: list[Limit]) -> bool:
    state = request.app.state
    if getattr(state, "limiter", None) is None:
        state.limiter = MovingWindowRateLimiter(MemoryStorage())
    allowed = [state.limiter.hit(item, *key) for item, key in limits]  # each is counted, also after a refusal
    return not all(allowed)
