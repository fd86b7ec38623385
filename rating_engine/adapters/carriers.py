"""Carriers as the settings name them, and the ones that are here in every process: loopback, and those over HTTP.

Laws: what is put into a URL is percent-encoded, so it stays in its place; no redirect is followed; an answer is of
bounded size and time; neither URL, text nor answer is in a log. An answer that is not good is a refusal; none at all,
after the carrier was spoken to, is known to nobody.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit

if TYPE_CHECKING:
    import httpx

from rating_engine.adapters.smpp import SmppCarrier
from rating_engine.domain.carrier import CarrierKind, CarrierSettings, parse_carrier
from rating_engine.domain.message import Message, MessageKind
from rating_engine.services.messaging.carriers import (
    HAND_OVER_SECONDS,
    Accepted,
    Carrier,
    CarrierAway,
    CarrierRefused,
    Carriers,
    CarrierSilent,
)

MAX_ANSWER: Final = 65_536  # bytes
MAX_ID: Final = 128  # characters that a carrier may call a message by
LOOPBACK_HLR: Final = "999881111111111,999,888,000000"  # of a network that is nobody's, as the document's own example

_PLACE: Final = re.compile(r"\{([a-z]+)\}")


def carriers_of(texts: Sequence[str]) -> Carriers:
    """The carriers of the settings in their order."""
    made: list[Carrier] = []
    for settings in map(parse_carrier, texts):
        if settings.kind is CarrierKind.LOOPBACK:
            made.append(Loopback(settings))
        elif settings.kind in (CarrierKind.HTTP, CarrierKind.HLR):
            made.append(HttpCarrier(settings))
        else:
            made.append(SmppCarrier(settings))
    return Carriers(made)


class Loopback:
    """Takes everything and sends nothing; what its answers say is nobody's."""

    is_here: Final = True
    kinds: Final = frozenset({MessageKind.SMS, MessageKind.HLR})

    def __init__(self, settings: CarrierSettings) -> None:
        self.name, self.prefixes, self.cost_tariff = settings.name, settings.prefixes, settings.cost

    async def hand_over(self, message: Message) -> Accepted:
        """Taken."""
        answer = LOOPBACK_HLR if message.kind is MessageKind.HLR else ""
        return Accepted(f"loopback-{message.number}", answer)


class HttpCarrier:
    """Asked by a URL: {from}, {to}, {text}, {id} (ours), {parts} and {encoding} in it are the message's."""

    is_here: Final = True

    def __init__(self, settings: CarrierSettings, *, timeout_seconds: float = HAND_OVER_SECONDS - 1) -> None:
        self.name, self.prefixes, self.cost_tariff = settings.name, settings.prefixes, settings.cost
        self.kinds = frozenset({MessageKind.HLR if settings.kind is CarrierKind.HLR else MessageKind.SMS})
        self._settings = settings
        self._timeout = timeout_seconds

    async def hand_over(self, message: Message) -> Accepted:
        """Errors: CarrierRefused, CarrierAway, CarrierSilent."""
        import httpx  # here, since it takes a tenth of a second to load, which commands need not wait for

        url = _filled(self._settings.url, message)
        try:
            async with httpx.AsyncClient(timeout=self._timeout, follow_redirects=False, trust_env=False) as client:
                status, body = await _answer(client, url, post=self._settings.post)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise CarrierAway(type(error).__name__) from None
        except httpx.InvalidURL:
            raise CarrierRefused("its URL is none") from None
        except httpx.HTTPError as error:
            raise CarrierSilent(type(error).__name__) from None
        return self._read(message, status, body.strip())

    def _read(self, message: Message, status: int, body: str) -> Accepted:
        if not 200 <= status < 300:
            raise CarrierRefused(f"answers {status}")
        said = body
        if self._settings.accepts is not None:
            found = self._settings.accepts.search(body)
            if found is None:
                raise CarrierRefused("its answer is not the one that says yes")
            said = (found[1] if found.re.groups else body) or ""
        if message.kind is MessageKind.HLR:
            return Accepted(answer=said[:MAX_ANSWER])
        # What is not short and of one line is no id, and then reports can name ours.
        return Accepted(said if said.isprintable() and len(said) <= MAX_ID else "")


def _filled(template: str, message: Message) -> str:
    fields = {
        "from": message.sender, "to": message.recipient, "text": message.text, "id": str(message.number),
        "parts": str(message.parts), "encoding": message.encoding,
    }  # fmt: skip
    return _PLACE.sub(lambda place: quote(fields.get(place[1], ""), safe=""), template)


async def _answer(client: httpx.AsyncClient, url: str, *, post: bool) -> tuple[int, str]:
    parts = urlsplit(url)
    form = dict(parse_qsl(parts.query, keep_blank_values=True)) if post else None
    target = urlunsplit(parts._replace(query="")) if post else url
    async with client.stream("POST" if post else "GET", target, data=form) as response:
        body = b""
        async for part in response.aiter_bytes():
            body += part
            if len(body) > MAX_ANSWER:
                raise CarrierSilent(f"answers more than {MAX_ANSWER} bytes")
        return response.status_code, body.decode("utf-8", "replace")
