"""Webhooks over HTTP: to public addresses alone, unless the operator names the host, and with a limit on everything.

Laws: the address that was looked at is the one that is connected to; nothing follows a redirect; what is answered is
read no further than its status.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from rating_engine.adapters.outbound import addresses_of
from rating_engine.domain.addresses import is_public
from rating_engine.services.webhooks.delivering import NotTaken

if TYPE_CHECKING:
    import httpx

SECONDS: Final = 10.0  # of a whole delivery: who takes longer answers first and works then


class WebhookPoster:
    """`private_hosts`: may have private addresses, and be spoken to by http."""

    def __init__(self, private_hosts: Sequence[str] = ()) -> None:
        self._private = frozenset(host.lower() for host in private_hosts)

    async def post(self, url: str, body: bytes, headers: dict[str, str]) -> None:
        """Send one. Errors: NotTaken."""
        import httpx  # here, since it takes a tenth of a second to load, which commands need not wait for

        target = httpx.URL(url)
        try:
            async with asyncio.timeout(SECONDS):
                address = await self._address(target)
                pinned = target.copy_with(host=address)
                headers = {**headers, "host": target.netloc.decode(), "user-agent": "rating-engine"}
                async with (
                    httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=SECONDS) as client,
                    client.stream(
                        "POST", pinned, content=body, headers=headers, extensions={"sni_hostname": target.host}
                    ) as answer,
                ):
                    status = answer.status_code
        except TimeoutError:
            raise NotTaken(f"no answer within {SECONDS:g} s") from None
        except (httpx.HTTPError, OSError) as error:
            raise NotTaken(type(error).__name__) from None
        if not 200 <= status < 300:
            raise NotTaken(f"answered {status}")

    async def _address(self, target: httpx.URL) -> str:
        host = target.host.lower()
        is_listed = host in self._private
        if target.scheme != "https" and not is_listed:
            raise NotTaken("is not https")
        port = target.port or (443 if target.scheme == "https" else 80)
        addresses = await addresses_of(host, port)
        public = [each for each in addresses if is_listed or is_public(each)]
        if not public or len(public) < len(addresses):  # a name with both is not to be trusted
            raise NotTaken("has no public address")
        return public[0]
