"""Files of exchanges, fetched over HTTPS from the hosts of the settings (exchange_file_hosts) and from no others."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Final

from rating_engine.adapters import outbound
from rating_engine.domain.addresses import is_public
from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.exchange_file import MAX_BYTES, FileNotFetched

SECONDS: Final = 10.0
HTTPS: Final = 443

_URL: Final = re.compile(r"https://(?P<host>[A-Za-z0-9.-]{1,253})(?::(?P<port>[0-9]{1,5}))?(?P<path>/[!-~]*)?")


class ListedHosts:
    """`hosts`: HOST each, of a public address; or HOST=ADDRESS:PORT, which is connected to instead."""

    def __init__(self, hosts: Sequence[str], setting: str = "exchange_file_hosts") -> None:
        self._setting = setting
        self._places: dict[str, tuple[str, int] | None] = {}
        for text in hosts:
            host, _, place = text.lower().partition("=")
            address, _, port = place.rpartition(":")
            self._places[host] = (address, int(port)) if place else None

    async def fetch(self, url: str) -> bytes:
        """A file. Errors: InvalidRequest (no such URL, a host that is not listed), FileNotFetched."""
        import httpx

        parts = _URL.fullmatch(url)
        if parts is None:
            raise InvalidRequest(
                "url", f"{url[:80]!r} is no URL of a file, such as https://files.example.org/rating.conf"
            )
        host, port = parts["host"].lower(), int(parts["port"] or HTTPS)
        if host not in self._places:
            raise InvalidRequest("url", f"host {host!r} is none that files are taken from ({self._setting})")
        try:
            place = self._places[host] or (await self._public(host, port), port)
            return await outbound.get(httpx.URL(url), place, seconds=SECONDS, most=MAX_BYTES)
        except outbound.NotFetched as error:
            raise FileNotFetched(f"{host}: {error}", field="url") from None

    async def _public(self, host: str, port: int) -> str:
        try:
            async with asyncio.timeout(SECONDS):
                found = await outbound.addresses_of(host, port)
        except (OSError, TimeoutError):
            raise outbound.NotFetched("its name is not known") from None
        if not found or not all(map(is_public, found)):  # a name with both is not to be trusted
            raise outbound.NotFetched("has no public address; list it as HOST=ADDRESS:PORT")
        return found[0]
