"""Where requests of the engine may go: to public addresses, and to private ones that the operator names.

Laws: the address that was looked at is the one that is connected to; nothing follows a redirect; an answer is read no
further than its limit, within a limit of time over all of it.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import httpx

OK: Final = 200


class NotFetched(Exception):
    """Why there is no answer, in words without the URL."""


async def get(
    url: httpx.URL,
    address: tuple[str, int],
    *,
    seconds: float,
    most: int,
    headers: Mapping[str, str] = {},
) -> bytes:
    """The body that an address answers for a URL, `most` bytes of it at the most. Errors: NotFetched.

    Certificates are those of the system, and of SSL_CERT_FILE.
    """
    import httpx  # here, since it takes a tenth of a second to load, which commands need not wait for

    host, port = address
    pinned = url.copy_with(host=host, port=port)
    sent = {**headers, "host": url.netloc.decode(), "user-agent": "rating-engine"}
    try:
        async with (
            asyncio.timeout(seconds),  # of all of it: httpx's own begins anew with each part of an answer
            httpx.AsyncClient(
                trust_env=False, follow_redirects=False, timeout=seconds, verify=ssl.create_default_context()
            ) as client,
            client.stream("GET", pinned, headers=sent, extensions={"sni_hostname": url.host}) as answer,
        ):
            if answer.status_code != OK:
                raise NotFetched(f"it answers {answer.status_code}")
            body = b""
            async for part in answer.aiter_bytes():
                body += part
                if len(body) > most:
                    raise NotFetched(f"it answers more than {most} bytes")
            return body
    except TimeoutError:
        raise NotFetched(f"it has not answered within {seconds:g} s") from None
    except (httpx.HTTPError, OSError) as error:
        raise NotFetched(f"it could not be asked: {type(error).__name__}") from None


async def addresses_of(host: str, port: int) -> list[str]:
    """What a name resolves to. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(each[4][0]) for each in found]
