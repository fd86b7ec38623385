"""The surface: one request in, one answer out, in the order in which things are asked.

Order: the method and the address (405, 403, 429), the function (404), GET, what was given (400), whether the API is on
and the function allowed, `u`, the hash, role and permission, the parameters, and what the function does.
Laws: whatever is wrong after that is XML with status 200; a hash is in no log line; what goes wrong inside is told by
no word of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from rating_engine.api.common.body import TooLarge, read_body
from rating_engine.api.common.client import address_of, is_secure
from rating_engine.api.mor import xml
from rating_engine.api.mor.asked import COOKIE, Answer, Asked, CallQuestions
from rating_engine.api.mor.declare import Function, Role
from rating_engine.api.mor.declared import NAMED
from rating_engine.api.mor.errors import (
    ACCESS_DENIED,
    FEATURE_DISABLED,
    GET_DISABLED,
    Failed,
    not_authorized,
    switched_off,
    unknown_user,
    wrong_hash,
)
from rating_engine.api.mor.functions import MADE
from rating_engine.api.mor.query import BadQuery, function_of, given_of
from rating_engine.api.mor.signing import signed_texts, weak_texts
from rating_engine.domain.errors import NotAllowed, Overloaded, RatingEngineError, Unavailable
from rating_engine.domain.party import Level, PartyKind
from rating_engine.domain.principal import NOBODYS, Principal
from rating_engine.domain.refusal import NotAdmitted, Refusal
from rating_engine.services.catalogue import Services
from rating_engine.services.parties.access import Door
from rating_engine.services.parties.signed_requests import Signature

SURFACE: Final = "mor"
UTC: Final = ZoneInfo("UTC")
MAX_BODY: Final = 65_536
MAX_LARGE_BODY: Final = 8_388_608
LARGE: Final = frozenset({"tariff_retail_import"})  # a whole price list
LONG: Final = 100  # elements of one list; writing them takes some milliseconds
RETRY_SECONDS: Final = 5  # the database is looked at again each second
MEDIA_TYPE: Final = "application/xml; charset=utf-8"
HEADERS: Final = {"cache-control": "no-store", "referrer-policy": "no-referrer"}
OPEN: Final = frozenset({"user_login", "user_logout"})  # take no hash, and are never switched off

ROLE_OF: Final = {
    PartyKind.ADMIN: Role.ADMIN,
    PartyKind.ACCOUNTANT: Role.ACCOUNTANT,
    PartyKind.RESELLER: Role.RESELLER,
    PartyKind.TENANT: Role.RESELLER,
    PartyKind.USER: Role.USER,
}

# Who asks without a hash: a login that is not proved yet, or a telephone.
NOBODY: Final = Principal(party="", level=Level.ANYBODY, surface=SURFACE, realm=NOBODYS, moves_money=False)

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class MorRules:
    """What an operator says of the surface. `telephones`: balances that take no hash; `conflines`: the function that
    changes the secret which guards it; `lenient`: weaker hashes count too; `repeat_seconds`:
    how long the same money is told what it was told first (0: not at all); `zone`: of the moments in answers.
    """

    get: bool = False
    lenient: bool = False
    https_only: bool = False
    telephones: bool = False
    conflines: bool = False
    money_by_post: bool = False
    repeat_seconds: int = 0
    mails: bool = False
    zone: ZoneInfo = UTC


class Mor:
    """The surface as an ASGI application below /billing/api."""

    def __init__(
        self,
        services: Services,
        charging: CallQuestions,
        rules: MorRules,
        on_weak_hash: Callable[[], None] = lambda: None,
    ) -> None:
        self._services = services
        self._charging = charging
        self._rules = rules
        self._on_weak_hash = on_weak_hash

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (ASGI)."""
        request = Request(scope, receive)
        response = await self._serve(request, scope["path"].removeprefix(scope.get("root_path", "")))
        await response(scope, receive, send)

    async def _serve(self, request: Request, path: str) -> Response:
        if request.method not in ("GET", "POST"):
            return _plain(405, "Method Not Allowed", allow="GET, POST" if self._rules.get else "POST")
        door = Door(SURFACE, address_of(request), is_secure(request))
        if (refused := await self._services.signed.at_the_door(door)) is not None:
            return _not_let_in(refused)
        parts = function_of(path)
        function = None if parts is None else NAMED.get(parts[0])
        if parts is None or function is None or (parts[1] is None) != (function.in_path is None):
            return _plain(404, "there is no such function")
        if request.method == "GET" and (not self._rules.get or self._needs_post(function)):
            return _failed(GET_DISABLED)
        try:
            body = await read_body(request, MAX_LARGE_BODY if function.name in LARGE else MAX_BODY)
            given = given_of(request.scope["query_string"], request.headers.get("content-type", ""), body)
        except TooLarge:
            return _plain(400, "the body is too large")
        except BadQuery as error:
            return _plain(400, str(error))
        return await self._answer(request, function, given, parts[1], door)

    def _needs_post(self, function: Function) -> bool:
        return function.by_post or (function.moves_money and self._rules.money_by_post)

    async def _answer(
        self, request: Request, function: Function, given: dict[str, str], in_path: str | None, door: Door
    ) -> Response:
        try:
            asking = await self._who(function, given, door)
            if isinstance(asking, NotAdmitted):
                return _not_let_in(asking)
            role = _role_of(asking)
            if asking is not None:
                _check_may(function, role, asking)
            asked = Asked(
                function=function,
                given=given,
                role=role,
                asking=NOBODY if asking is None else asking,
                services=self._services,
                door=door,
                zone=self._rules.zone,
                charging=self._charging,
                mails=self._rules.mails,
                in_path=in_path,
                cookie=request.cookies.get(COOKIE),
            )
            if function.moves_money and self._rules.repeat_seconds:
                return await self._once(asked)
            return await _answered(await MADE[function.name](asked))
        except Failed as failed:
            return _refused_by(function, failed)
        except ClientDisconnect:
            raise
        except Exception as error:
            return _broken(function, error)

    async def _once(self, asked: Asked) -> Response:
        """Money: what the same request was told within the time, or what is done. Raises as what is done does."""

        async def do() -> str:
            try:
                return _body(await _answered(await MADE[asked.function.name](asked)))
            except Failed as failed:
                return _body(_refused_by(asked.function, failed))
            except RatingEngineError as error:
                response = _broken(asked.function, error)
                if response.status_code != 200:
                    raise
                return _body(response)

        request = (asked.function.name, sorted(asked.given.items()))
        body = await self._services.repeats.answer(asked.asking, request, self._rules.repeat_seconds, do)
        return Response(body, headers=HEADERS, media_type=MEDIA_TYPE)

    async def _who(self, function: Function, given: dict[str, str], door: Door) -> Principal | NotAdmitted | None:
        """Who asks; None: a function that takes no hash. Raises Failed; errors: Overloaded, Unavailable."""
        if self._rules.https_only and not door.secure:
            raise Failed(ACCESS_DENIED)
        signed = self._services.signed
        if not await signed.is_open(function.name):
            raise Failed(switched_off(function))
        if function.hashed is None:
            if function.name not in OPEN and not self._rules.telephones:
                raise Failed(FEATURE_DISABLED)
            return None
        if function.name == "conflines_update" and not self._rules.conflines:
            raise Failed(ACCESS_DENIED)
        weak = weak_texts(function, given) if self._rules.lenient else ()
        signature = Signature(
            given.get("u", ""), function.name, given.get("hash", ""), signed_texts(function, given), weak
        )
        answer = await signed.ask(signature, door)
        if isinstance(answer, NotAdmitted):
            return _refused(function, answer)
        if answer.is_weak:
            self._on_weak_hash()
        return answer.principal


def _refused(function: Function, refused: NotAdmitted) -> NotAdmitted:
    """What is answered by a status of HTTP. Raises Failed with what is not."""
    match refused.reason:
        case Refusal.BANNED | Refusal.TOO_MANY:
            return refused
        case Refusal.NO_USER:
            raise Failed(unknown_user(function))
        case Refusal.UNKNOWN_KEY:
            raise Failed(wrong_hash(function))
        case Refusal.WRONG_METHOD:
            raise Failed(switched_off(function))
        case _:
            raise Failed(ACCESS_DENIED)


def _role_of(asking: Principal | None) -> Role:
    """Nobody is a telephone, and a user's."""
    return Role.USER if asking is None or asking.kind is None else ROLE_OF[asking.kind]


def _check_may(function: Function, role: Role, asking: Principal) -> None:
    """Whether this role may call the function at all, and has the permission. Raises Failed."""
    if role not in function.roles:
        raise Failed(ACCESS_DENIED)
    needs = role is Role.ACCOUNTANT or (role is Role.RESELLER and function.reseller_needs_it)
    if needs and function.permission is not None and function.permission not in asking.permissions:
        raise Failed(not_authorized(function))


def _broken(function: Function, error: Exception) -> Response:
    """What no function has foreseen."""
    match error:
        case Unavailable() | Overloaded():  # what the database said is for the log
            _log.warning("mor_function_unavailable", function=function.name, problem=str(error))
            return _plain(503, "try again in a moment", **{"retry-after": str(RETRY_SECONDS)})
        case NotAllowed():
            return _failed(not_authorized(function))
        case RatingEngineError():
            _log.info("mor_function_refused", function=function.name, problem=str(error))
            return _failed(ACCESS_DENIED)
    _log.error("mor_function_failed", function=function.name, exc_info=error)
    return _plain(500, "internal error")


async def _answered(answer: Answer) -> Response:
    """The response; a long list is written beside calls, which the same process answers."""
    if isinstance(answer, Response):
        return answer
    if any(len(part) > LONG for part in (answer, *answer)):
        return _written(await asyncio.to_thread(xml.rendered, answer))
    return _written(xml.rendered(answer))


def _written(document: bytes) -> Response:
    return Response(document, headers=HEADERS, media_type=MEDIA_TYPE)


def _failed(text: str) -> Response:
    return _written(xml.rendered(xml.failed(text)))


def _refused_by(function: Function, failed: Failed) -> Response:
    """The document's words; where they say less than is known, that is for the log."""
    if failed.message:
        _log.info("mor_function_refused", function=function.name, error=failed.text, problem=failed.message)
    if failed.text in function.bare_errors:
        return _written(xml.rendered(xml.element("Error", failed.text)))
    return _failed(failed.text)


def _body(response: Response) -> str:
    return bytes(response.body).decode()


def _not_let_in(refused: NotAdmitted) -> Response:
    if refused.reason is Refusal.TOO_MANY:
        return _plain(429, f"ask again in {refused.seconds} s", **{"retry-after": str(refused.seconds)})
    return _plain(403, "Forbidden")


def _plain(status: int, text: str, **headers: str) -> Response:
    return Response(f"{text}\n", status, headers={**HEADERS, **headers}, media_type="text/plain")
