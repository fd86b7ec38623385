"""GSM providers that are asked by a URL, by the templates of the settings (gsm_providers).

Laws: what is put into a template is percent-encoded, so it stays in its place; no redirect is followed; an answer is of
bounded size and time; neither URL nor answer is in a log.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

if TYPE_CHECKING:
    import httpx

from rating_engine.domain.message import CarrierFailed
from rating_engine.services.support.gsm import UnknownAction, UnknownProvider

TIMEOUT_SECONDS: Final = 10.0  # of the whole request: a gateway that takes longer has a fault
OK: Final = 200
MAX_ANSWER: Final = 65_536  # bytes: what a body of ours may have too

_PLACE: Final = re.compile(r"\{([a-z_0-9]+)\}")


class HttpProviders:
    """Providers by their names and actions. `templates`: NAME ACTION URL each."""

    def __init__(self, templates: Sequence[str], *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._timeout = timeout_seconds
        self._urls: dict[str, dict[str, str]] = {}
        for text in templates:
            name, action, url = text.split()
            self._urls.setdefault(name, {})[action.lower()] = url

    async def ask(self, provider: str, action: str, given: Mapping[str, str]) -> str:
        """What a provider answers. Errors: UnknownProvider, UnknownAction, CarrierFailed."""
        actions = self._urls.get(provider)
        if actions is None:
            raise UnknownProvider(f"no provider {provider[:64]!r} is configured", field="provider")
        template = actions.get(action.lower())
        if template is None:
            raise UnknownAction(f"provider {provider!r} has no action {action[:64]!r}", field="action")
        import httpx  # here, since it takes a tenth of a second to load, which commands need not wait for

        url = _PLACE.sub(lambda found: quote(given.get(found[1], ""), safe=""), template)
        try:
            async with (
                asyncio.timeout(self._timeout),  # of all of it: httpx's own begins anew with each part of an answer
                httpx.AsyncClient(timeout=self._timeout, follow_redirects=False) as client,
            ):
                return await _read(client, url)
        except TimeoutError:
            raise CarrierFailed(f"provider {provider!r} has not answered within {self._timeout:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise CarrierFailed(f"provider {provider!r} could not be asked: {type(error).__name__}") from None


async def _read(client: httpx.AsyncClient, url: str) -> str:
    async with client.stream("GET", url) as response:
        body = b""
        async for part in response.aiter_bytes():
            body += part
            if len(body) > MAX_ANSWER:
                raise CarrierFailed(f"the provider answers more than {MAX_ANSWER} bytes")
        if response.status_code != OK:
            raise CarrierFailed(f"the provider answers {response.status_code}")
        return body.decode("utf-8", "replace")
