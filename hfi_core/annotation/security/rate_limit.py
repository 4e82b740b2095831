"""Limit how often people sign in (by name and address) and send requests (by session). Counts stay in memory."""

import ipaddress
from contextlib import suppress

from fastapi import Request
from limits import RateLimitItem, RateLimitItemPerHour, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

Limit = tuple[RateLimitItem, tuple[str, ...]]
"""The limit, and the key of what is counted."""

RETRY_HEADERS = {"Retry-After": "60"}
_BY_NAME_AND_ADDRESS = (RateLimitItemPerMinute(5), RateLimitItemPerHour(30))
"""Sign-in attempts for one name from one address."""
_BY_NAME = RateLimitItemPerMinute(30)
"""Sign-in attempts for one name from all addresses together. There is no limit an hour: an attack from many addresses
blocks the owner of the name only while it lasts."""
_BY_ADDRESS = (RateLimitItemPerMinute(20), RateLimitItemPerHour(200))
"""Sign-in attempts from one address. A whole office may share an address."""
_INVITATIONS = (RateLimitItemPerMinute(30), RateLimitItemPerHour(300))
"""Invitations opened or used from one address."""
_REQUESTS = RateLimitItemPerMinute(1200)
"""Questions, answers and skips of one session. Nobody answers twenty a second. A browser that sends its queue may reach
the limit; it continues a few seconds later."""
_IPV6_PREFIX_LENGTH = 64
"""Bits that identify the network of one household or machine in an IPv6 address."""


def exceeds_sign_in_limit(request: Request, name: str) -> bool:
    """Count an attempt to sign in, and return whether this name or this address had too many."""
    address = client_address(request)
    limits: list[Limit] = [(item, ("person", address, name.casefold())) for item in _BY_NAME_AND_ADDRESS]
    limits += [(item, ("address", address)) for item in _BY_ADDRESS]
    # An attempt that is refused for its address does not count for the name: one address cannot lock a person out.
    return _exceeds(request, limits) or _exceeds(request, [(_BY_NAME, ("name", name.casefold()))])


def exceeds_invitation_limit(request: Request) -> bool:
    """Count a request for an invitation, and return whether this address had too many."""
    return _exceeds(request, [(item, ("invitation", client_address(request))) for item in _INVITATIONS])


def exceeds_request_limit(request: Request) -> bool:
    """Count a request of a session, and return whether there were more than a person sends."""
    return _exceeds(request, [(_REQUESTS, ("session", request.state.session.id))])


def client_address(request: Request) -> str:
    """Return a request's IPv4 address, or the network of its IPv6 address: one machine can use many of those."""
    host = request.client.host if request.client else "unknown"
    with suppress(ValueError):
        address = ipaddress.ip_address(host.partition("%")[0])
        if address.version == 6 and address.ipv4_mapped:
            return str(address.ipv4_mapped)
        if address.version == 6:
            return str(ipaddress.ip_network((address, _IPV6_PREFIX_LENGTH), strict=False))
    return host


def _exceeds(request: Request, limits: list[Limit]) -> bool:
    state = request.app.state
    if getattr(state, "limiter", None) is None:
        state.limiter = MovingWindowRateLimiter(MemoryStorage())
    allowed = [state.limiter.hit(item, *key) for item, key in limits]  # a list: every limit counts the attempt
    return not all(allowed)
