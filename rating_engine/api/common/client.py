"""Where a request comes from, as far as it is to be believed: the connection's own address and encryption."""

from __future__ import annotations

from starlette.requests import Request


def address_of(request: Request) -> str | None:
    """The address of the connection; None: it has none. What headers say is anybody's to write."""
    return None if request.client is None else request.client.host


def is_secure(request: Request) -> bool:
    """Whether nobody could listen on its way here."""
    return request.url.scheme == "https"
