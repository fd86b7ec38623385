"""The surface: one query in, one answer out, in the order in which the document has things asked.

Order: the query itself (400), the key (401, 403), version, method, user, level, arguments, and what the method does.
Laws: the key is in no log line; whatever goes wrong inside is E_SQL_ERROR or E_LUA_EXCEPTION, told by the code alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from rating_engine.api.common.body import TooLarge, read_body
from rating_engine.api.common.client import address_of, is_secure
from rating_engine.api.narayana import answer
from rating_engine.api.narayana.arguments import read_arguments
from rating_engine.api.narayana.asked import Asked, CallCharging
from rating_engine.api.narayana.asker import check_level, who_asks
from rating_engine.api.narayana.declare import Method
from rating_engine.api.narayana.declared import METHODS
from rating_engine.api.narayana.errors import STATUS_OF_REFUSAL, Code, Failure, failure_of
from rating_engine.api.narayana.methods import MADE
from rating_engine.api.narayana.query import BadQuery, given_of, parts_of
from rating_engine.domain.api_key import ApiKey, AuthBy
from rating_engine.domain.errors import RatingEngineError
from rating_engine.domain.refusal import NotAdmitted, Refusal
from rating_engine.services.catalogue import Services
from rating_engine.services.parties.access import Door

SURFACE: Final = "narayana"
VERSION: Final = "2.2"
MAX_BODY: Final = 65_536
MAX_LARGE_BODY: Final = 1_048_576
LARGE: Final = {"updateDirections": "directions"}  # a whole price list, and the argument that a bare list is
AS_TEXT: Final = frozenset({AuthBy.SIP_EXTENSION, AuthBy.ID, AuthBy.MSISDN, AuthBy.ICCID})
AS_LINE: Final = frozenset({"callPrepare", "authorizeCall"})  # their failures are lines too

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Query:
    """A query that could be read, and its key."""

    request: Request
    secret: str
    key: ApiKey
    door: Door
    version: str
    method: str
    given: dict[str, str]

    @property
    def as_text(self) -> bool:
        return self.key.auth_by in AS_TEXT


class Narayana:
    """The surface as an ASGI application below /billing/api."""

    def __init__(self, services: Services, charging: CallCharging) -> None:
        self._services = services
        self._charging = charging

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (ASGI)."""
        request = Request(scope, receive)
        response = await self._serve(request, scope["path"].removeprefix(scope.get("root_path", "")))
        await response(scope, receive, send)

    async def _serve(self, request: Request, path: str) -> Response:
        if request.method not in ("GET", "POST"):
            response = answer.refused(405, "Method Not Allowed")
            response.headers["allow"] = "GET, POST"
            return response
        parts = parts_of(path)
        if parts is None:
            return answer.refused(400, "Invalid Request")
        try:
            body = await read_body(request, MAX_LARGE_BODY if parts[2] in LARGE else MAX_BODY)
            given = given_of(
                request.scope["query_string"], request.headers.get("content-type", ""), body, LARGE.get(parts[2])
            )
        except TooLarge:
            return answer.refused(400, f"Invalid Request: a body has {MAX_BODY} bytes at the most")
        except BadQuery as error:
            return answer.refused(400, f"Invalid Request: {error}")
        return await self._answer(request, parts, given)

    async def _answer(self, request: Request, parts: tuple[str, str, str], given: dict[str, str]) -> Response:
        version, secret, method = parts
        door = Door(SURFACE, address_of(request), is_secure(request))
        try:
            key = await self._services.access.by_key(secret, door)
        except RatingEngineError as error:
            return answer.failed(_failure_of(error, method), as_text=False)
        if isinstance(key, NotAdmitted) and key.reason is Refusal.TOO_MANY:
            line = f"Declined {Code.E_INSUFFICIENT_ACCESS}" if method in AS_LINE else None
            return answer.limited(key.seconds, line=line)
        if isinstance(key, NotAdmitted):
            status = STATUS_OF_REFUSAL.get(key.reason, 401)
            return answer.refused(status, "Unauthorized" if status == 401 else "Forbidden")
        query = _Query(request, secret, key, door, version, method, given)
        try:
            return answer.done(await self._do(query), as_text=query.as_text)
        except Failure as failure:
            return _failed(query, failure)
        except ClientDisconnect:
            raise
        except Exception as error:
            return _failed(query, _failure_of(error, method))

    async def _do(self, query: _Query) -> object:
        """What the method answers. Raises Failure, RatingEngineError."""
        if query.version != VERSION:
            raise Failure(Code.E_INCORRECT_API_VERSION, f"this is {VERSION}")
        method = METHODS.get(query.method)
        if method is None:
            raise Failure(Code.E_UNKNOWN_METHOD)
        asking, line = await who_asks(self._services.access, query.key, query.door, method, query.given)
        check_level(query.key, asking, method)
        return await MADE[method.name](
            Asked(
                values=read_arguments(method, _fitted(method, query.given)),
                asking=asking,
                key=query.key,
                line=line,
                services=self._services,
                charging=self._charging,
                names=frozenset(query.given),
                is_gone=query.request.is_disconnected,
                secret=query.secret,
                given=query.given,
            )
        )


def _fitted(method: Method, given: dict[str, str]) -> dict[str, str]:
    """The document prints `balance` twice for getTextBalance: one that is no number is the currency; and
    for updateTicket mark_unread in its example, markunread in its list.
    """
    balance = given.get("balance", "")
    if method.name == "getTextBalance" and balance.isalpha():
        return {**{name: value for name, value in given.items() if name != "balance"}, "currency": balance}
    if method.name == "updateTicket" and given.get("action") == "mark_unread":
        return {**given, "action": "markunread"}
    return given


def _failed(query: _Query, failure: Failure) -> Response:
    line = f"Declined {failure.code}" if query.method in AS_LINE else None
    return answer.failed(failure, as_text=query.as_text, line=line)


def _failure_of(error: Exception, method: str) -> Failure:
    failure = failure_of(error, method) if isinstance(error, RatingEngineError) else None
    if failure is None:
        _log.error("narayana_method_failed", method=method[:64], exc_info=error)
        return Failure(Code.E_LUA_EXCEPTION)
    if failure.code is Code.E_SQL_ERROR:  # what the database said is for the log
        _log.warning("narayana_method_unavailable", method=method[:64], problem=str(error))
        return Failure(Code.E_SQL_ERROR, "try again in a moment")
    return failure
