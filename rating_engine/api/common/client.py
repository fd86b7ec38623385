"""Who a request comes from, and whether nobody could listen: the connection itself, or what a trusted proxy says.

Laws: a header is believed from a connection of a trusted proxy alone; of the addresses in it the right-most counts that
is no trusted proxy, since whatever stands left of it anybody may have written; what is no address ends the chain at
whoever wrote it; a way counts as encrypted when every hop that is named was.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from rating_engine.domain.addresses import Network, is_in

MAX_HOPS: Final = 32  # looked at of a chain, from the right; a longer one is nobody's network

_PORT: Final = re.compile(r"(\d+\.\d+\.\d+\.\d+):\d{1,5}|\[([0-9A-Fa-f:.]+)\](?::\d{1,5})?")


class ProxyHeader(StrEnum):
    """How trusted proxies say whom they ask for. One form: the other one a client may have sent through them."""

    X_FORWARDED = "x-forwarded"  # X-Forwarded-For and X-Forwarded-Proto
    FORWARDED = "forwarded"  # RFC 7239


def address_of(request: Request) -> str | None:
    """The address of who asks; None: it has none."""
    return None if request.client is None else request.client.host


def is_secure(request: Request) -> bool:
    """Whether nobody could listen on its way here."""
    return request.url.scheme == "https"


class BehindProxies:
    """Puts the real client and scheme into each request of a trusted proxy; who is banned is answered 403."""

    def __init__(
        self,
        app: ASGIApp,
        trusted: Sequence[Network],
        header: ProxyHeader = ProxyHeader.X_FORWARDED,
        is_banned: Callable[[str], bool] = lambda address: False,
    ) -> None:
        self._app = app
        self._trusted = tuple(trusted)
        self._header = header
        self._is_banned = is_banned

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (ASGI)."""
        peer = scope["client"][0] if scope.get("client") else None
        if self._trusted and peer is not None and is_in(peer, self._trusted):
            headers = [(name, value.decode("latin-1")) for name, value in scope["headers"]]
            address, secure = client_of(peer, headers, self._trusted, self._header)
            if address != peer and self._is_banned(address):
                await PlainTextResponse("Forbidden\n", status_code=403)(scope, receive, send)
                return
            scope = {**scope, "client": (address, 0), "scheme": "https" if secure else "http"}
        await self._app(scope, receive, send)


def client_of(
    peer: str, headers: Sequence[tuple[bytes, str]], trusted: tuple[Network, ...], header: ProxyHeader
) -> tuple[str, bool]:
    """The address and whether all of its way was encrypted, as a trusted proxy at `peer` says."""
    if header is ProxyHeader.FORWARDED:
        hops = [_pairs(element) for element in _split(",".join(_values(headers, b"forwarded")), ",")]
        named = [hop.get("for", "") for hop in hops]
        ways = [hop.get("proto", "") for hop in hops]
    else:
        named = _listed(headers, b"x-forwarded-for")
        ways = _listed(headers, b"x-forwarded-proto")
    address = peer
    for each in reversed(named[-MAX_HOPS:]):
        found = _address(each)
        if found is None:
            break
        address = found
        if not is_in(found, trusted):
            break
    return address, bool(ways) and all(way.lower() == "https" for way in ways)


def _values(headers: Sequence[tuple[bytes, str]], name: bytes) -> list[str]:
    return [value for each, value in headers if each == name]


def _listed(headers: Sequence[tuple[bytes, str]], name: bytes) -> list[str]:
    return [part.strip() for value in _values(headers, name) for part in value.split(",") if part.strip()]


def _pairs(element: str) -> dict[str, str]:
    pairs = (pair.partition("=") for pair in _split(element, ";"))
    return {name.strip().lower(): value.strip().strip('"') for name, _, value in pairs}


def _split(text: str, mark: str) -> list[str]:
    """The parts between marks outside of quotes. By hand: an expression takes quadratic time for a broken quote."""
    parts, begin, quoted, escaped = [], 0, False, False
    for place, letter in enumerate(text):
        if escaped:
            escaped = False
        elif quoted and letter == "\\":
            escaped = True
        elif letter == '"':
            quoted = not quoted
        elif letter == mark and not quoted:
            parts.append(text[begin:place])
            begin = place + 1
    return [part for part in (*parts, text[begin:]) if part.strip()]


def _address(text: str) -> str | None:
    """An address as proxies write it: bare, or with a port."""
    port = _PORT.fullmatch(text)
    if port is not None:
        text = port[1] or port[2]
    try:
        found: IPv4Address | IPv6Address = ip_address(text)
    except ValueError:
        return None
    if isinstance(found, IPv6Address) and found.scope_id is not None:
        return None
    return str(getattr(found, "ipv4_mapped", None) or found)
