"""Who asks: the bearer token of each request, before anything else of it is looked at.

Law: without a token that is let in nobody hears whether a path, a method or a rate is there. A token is in no log line.
"""

from __future__ import annotations

import re
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rating_engine.api.common.client import address_of, is_secure
from rating_engine.api.tenant.answers import answer_to, error_answer
from rating_engine.api.tenant.contract import TOKEN_SCOPES
from rating_engine.domain.errors import RatingEngineError
from rating_engine.domain.principal import Principal
from rating_engine.domain.refusal import NotAdmitted, Refusal
from rating_engine.services.parties.access import Access, Door

SURFACE: Final = "tenant"
PREFIX: Final = "/api"
OPEN: Final = ("/api/docs", "/api/openapi.json")  # and what is below the first: no secret, and nothing of anybody

_BEARER: Final = re.compile(r"bearer +([A-Za-z0-9._~+/-]{1,512}=*)", re.ASCII | re.IGNORECASE)
_FORBIDDEN: Final = (Refusal.BANNED, Refusal.LOCKED)


class TokenDoor:
    """Lets in who has a token, as `request.state.principal`; HEAD is answered as GET, without the body."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (ASGI)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["method"] == "HEAD":
            scope, send = {**scope, "method": "GET"}, _without_body(send)
        request = Request(scope, receive)
        path = str(scope["path"])
        if path in OPEN or path.startswith(f"{OPEN[0]}/"):
            if (limited := await self._access.limit_address(_door_of(request))) is not None:
                await _limited(limited)(scope, receive, send)
                return
        else:
            asking = await self._ask(request)
            if isinstance(asking, Response):
                await asking(scope, receive, send)
                return
            if not path.isprintable():  # no path of this surface; and the router takes a line break for the end of one
                await error_answer(404, "not_found", "there is no such path")(scope, receive, send)
                return
            scope = {**scope, "state": {**scope.get("state", {}), "principal": asking}}
        await self._app(scope, receive, send)

    async def _ask(self, request: Request) -> Principal | Response:
        given = request.headers.getlist("authorization")
        bearer = _BEARER.fullmatch(given[0].strip()) if len(given) == 1 else None
        door = _door_of(request)
        if bearer is None:
            limited = await self._access.limit_address(door)
            return _unauthorised("a bearer token is needed") if limited is None else _limited(limited)
        try:
            admitted = await self._access.by_token(bearer[1], door, TOKEN_SCOPES)
        except RatingEngineError as error:
            return answer_to(error)
        if not isinstance(admitted, NotAdmitted):
            return admitted
        if admitted.reason is Refusal.TOO_MANY:
            return _limited(admitted)
        if admitted.reason in _FORBIDDEN:
            return error_answer(403, "forbidden", "the token is not let in now")
        return _unauthorised("the token is not known")


def _door_of(request: Request) -> Door:
    return Door(SURFACE, address_of(request), is_secure(request))


def _limited(limited: NotAdmitted) -> Response:
    return error_answer(
        429, "too_many_requests", f"ask again in {limited.seconds} s", headers={"retry-after": str(limited.seconds)}
    )


def _unauthorised(message: str) -> Response:
    return error_answer(401, "unauthorized", message, headers={"www-authenticate": "Bearer"})


def _without_body(send: Send) -> Send:
    async def send_head(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return send_head
