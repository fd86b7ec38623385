"""The body of a request, never more of it than is allowed."""

from __future__ import annotations

from starlette.requests import Request


class TooLarge(Exception):
    """The body has more bytes than this path takes."""


async def read_body(request: Request, most: int) -> bytes:
    """The whole body. Raises TooLarge as soon as that is known."""
    said = request.headers.get("content-length", "0")
    if said.isdigit() and int(said[:20]) > most:
        raise TooLarge
    parts: list[bytes] = []
    length = 0
    async for part in request.stream():
        length += len(part)
        if length > most:
            raise TooLarge
        parts.append(part)
    return b"".join(parts)
