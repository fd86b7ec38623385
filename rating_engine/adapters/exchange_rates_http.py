"""Exchange rates that are published over HTTP as JSON, by a URL of the settings (exchange_rate_url).

Laws: what is put into the URL is percent-encoded; no redirect is followed; an answer is of bounded size and time; a
number is read as it is written, never as a float.
"""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import Any, Final
from urllib.parse import quote

from rating_engine.rating.money import InvalidAmount, read_amount
from rating_engine.services.tariffs.rate_feed import RateNotTold

TIMEOUT_SECONDS: Final = 10.0
MAX_ANSWER: Final = 1_048_576  # bytes: a table of all currencies has a few kB
OK: Final = 200


class PublishedRates:
    """`url`: with {from} and {to}; `field`: where the rate stands in the answer, as `rates.{to}`."""

    def __init__(self, url: str, field: str) -> None:
        self._url = url
        self._field = field

    async def ask(self, currency_from: str, currency_to: str) -> Decimal:
        """What one of the first is in the second. Errors: RateNotTold."""
        import httpx  # here, since it takes a tenth of a second to load, which commands need not wait for

        def put(text: str) -> str:
            return text.replace("{from}", quote(currency_from)).replace("{to}", quote(currency_to))

        try:
            async with (
                asyncio.timeout(TIMEOUT_SECONDS),
                httpx.AsyncClient(timeout=TIMEOUT_SECONDS, follow_redirects=False) as client,
                client.stream("GET", put(self._url)) as answer,
            ):
                body = b""
                async for part in answer.aiter_bytes():
                    body += part
                    if len(body) > MAX_ANSWER:
                        raise RateNotTold(f"is answered with more than {MAX_ANSWER} bytes")
                if answer.status_code != OK:
                    raise RateNotTold(f"is answered {answer.status_code}")
        except TimeoutError:
            raise RateNotTold(f"was not answered within {TIMEOUT_SECONDS:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise RateNotTold(f"could not be asked: {type(error).__name__}") from None
        return _rate_in(body, put(self._field))


def _rate_in(body: bytes, field: str) -> Decimal:
    try:
        found: Any = json.loads(body, parse_float=str, parse_int=str)
        for name in field.split("."):
            found = found[int(name)] if isinstance(found, list) else found[name]
        return read_amount(found, "rate")
    except (ValueError, KeyError, IndexError, TypeError, RecursionError, InvalidAmount):
        raise RateNotTold(f"is answered without a number in {field}") from None
