"""The surface: one request in, one answer out, in the order in which a request is asked about.

Order: address (403, 429), method (405), what it gives (400), session (401), vivaid, command, parameters, and what the
command does. Laws: passwords and tokens are in no log line, and no answer is kept by a cache or named to another site;
whatever goes wrong inside is TRY AGAIN LATER or INTERNAL ERROR.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping
from typing import Any, Final

import orjson
import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from rating_engine.api.common.body import TooLarge, read_body
from rating_engine.api.common.client import address_of, is_secure
from rating_engine.api.teleum import calls, forwards, lines, numbers, sessions, tariffs
from rating_engine.api.teleum.asked import Answer, Asked, Handler
from rating_engine.api.teleum.commands import COMMANDS
from rating_engine.api.teleum.errors import (
    ACCESS_DENIED,
    BAD_REQUEST,
    INTERNAL,
    SESSION_ENDED,
    TOO_MANY_ATTEMPTS,
    TOO_MANY_REQUESTS,
    UNKNOWN_COMMAND,
    WRONG_LOGIN,
    Failure,
    failure_of,
    wrong,
)
from rating_engine.api.teleum.reading import Values, given_of, read_parameters
from rating_engine.domain.addresses import network_of_host
from rating_engine.domain.errors import RatingEngineError
from rating_engine.domain.principal import Principal
from rating_engine.domain.refusal import NotAdmitted, Refusal
from rating_engine.services.catalogue import Services
from rating_engine.services.parties.access import Door
from rating_engine.services.parties.tries import Tries

SURFACE: Final = "teleum"
PATH: Final = "/api/v3"
IDLE_SECONDS: Final = 900
MAX_BODY: Final = 16_384
WRONG_LOGINS: Final = 10  # of an e-mail from one host within IDLE_SECONDS; then none is looked at for a while

HANDLERS: Final[Mapping[str, Handler]] = {
    **sessions.HANDLERS,
    **calls.HANDLERS,
    **forwards.HANDLERS,
    **lines.HANDLERS,
    **numbers.HANDLERS,
    **tariffs.HANDLERS,
}
# Nobody keeps an answer, and no site that a user goes to from here hears of an address with a password in it.
HEADERS: Final = {"cache-control": "no-store", "referrer-policy": "no-referrer", "x-content-type-options": "nosniff"}

_log = structlog.get_logger(__name__)


class Teleum:
    """The surface as an ASGI application at /api/v3 and /api/v3/."""

    def __init__(self, services: Services, public_url: str = "") -> None:
        """`public_url`: how users reach the port; '': as they asked."""
        self._services = services
        self._public_url = public_url.rstrip("/")
        self._wrong_logins = Tries(float(IDLE_SECONDS))
        self._attempts = itertools.count()

    def routes(self) -> list[BaseRoute]:
        """Where it is found."""
        return [Route(path, self) for path in (PATH, f"{PATH}/")]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (ASGI)."""
        response = await self._serve(Request(scope, receive))
        await response(scope, receive, send)

    async def _serve(self, request: Request) -> Response:
        if request.method not in ("GET", "POST"):
            return _answered({"err": 1, "errmsg": BAD_REQUEST}, 405, {"allow": "GET, POST"})
        door = Door(SURFACE, address_of(request), is_secure(request))
        command = ""
        try:
            await self._let_in(door)
            given = given_of(
                request.scope["query_string"],
                request.headers.get("content-type", ""),
                await read_body(request, MAX_BODY),
            )
            command = given.get("cmd", "").strip()
            return _answered(await (self._login if command == "login" else self._command)(request, door, given))
        except TooLarge:
            return _failed(Failure(BAD_REQUEST, 400), command)
        except _Limited as limited:
            body = {"err": 1, "errmsg": TOO_MANY_REQUESTS}
            return _answered(body, 429, {"retry-after": str(limited.seconds)})
        except Failure as failure:
            return _failed(failure, command)
        except ClientDisconnect:
            raise
        except RatingEngineError as error:
            refused = failure_of(error)
            if refused.status != 200:
                _log.warning("teleum_unavailable", command=command[:64], problem=str(error))
            return _failed(refused, command)
        except Exception:  # where it is logged; a program reads err in every answer
            _log.exception("teleum_failed", command=command[:64])
            return _failed(Failure(INTERNAL, 500), command)

    async def _let_in(self, door: Door) -> None:
        """Raises Failure (403: banned), _Limited."""
        if door.address is not None and self._services.access.bans.refuses(door.address):
            raise Failure(ACCESS_DENIED, 403)
        limited = await self._services.access.limit_address(door)
        if limited is not None:
            raise _Limited(limited.seconds)

    async def _login(self, request: Request, door: Door, given: Mapping[str, str]) -> Answer:
        values = read_parameters(COMMANDS["login"], given)
        email, access = values.needed("email").strip(), self._services.access
        host = None if door.address is None else network_of_host(door.address)
        who = f"{email.lower()[:200]} {host}"
        if self._wrong_logins.count(who) >= WRONG_LOGINS:
            raise Failure(TOO_MANY_ATTEMPTS)
        md5 = hashlib.md5(values.needed("paswd").encode(), usedforsecurity=False).hexdigest()
        asking = await access.by_password(email, md5, door, by_mail=True)
        if isinstance(asking, NotAdmitted) or asking.party_id is None:
            if isinstance(asking, NotAdmitted) and asking.reason is Refusal.TOO_MANY:
                raise _Limited(asking.seconds)
            if isinstance(asking, NotAdmitted) and asking.reason in (Refusal.LOCKED, Refusal.BANNED):
                raise Failure(ACCESS_DENIED)
            self._wrong_logins.wrong(who, str(next(self._attempts)))
            raise Failure(WRONG_LOGIN)
        self._wrong_logins.forget(who)
        own = await self._services.of(asking).accounts.own(asking.party_id)
        token = await access.start_session(asking, idle_seconds=IDLE_SECONDS)
        return {"account": sessions.contract_of(own), "token": token, "vivaid": asking.party_id}

    async def _command(self, request: Request, door: Door, given: Mapping[str, str]) -> Answer:
        asking = await self._asking(door, given)
        assert asking.party_id is not None
        if not given.get("vivaid", "").strip():
            raise wrong("vivaid")
        if given["vivaid"].strip() != str(asking.party_id):
            raise Failure(ACCESS_DENIED)
        name = given.get("cmd", "").strip()
        if name == "getTariffGroups" and "tg" in given:  # as the document prints getTariffs
            name = "getTariffs"
        command = COMMANDS.get(name)
        if command is None:
            raise Failure(UNKNOWN_COMMAND)
        values: Values = read_parameters(command, given)
        use = self._services.of(asking)
        party = await use.parties.show(asking.party_id)
        base = f"{self._public_url}/" if self._public_url else str(request.base_url)
        answer = await HANDLERS[name](Asked(values, use, party, base))
        return {"vivaid": str(asking.party_id), **answer}

    async def _asking(self, door: Door, given: Mapping[str, str]) -> Principal:
        """Whose session it is; its end moves. Raises Failure (401)."""
        token = given.get("token", "").strip()
        asking = await self._services.access.by_session(token, door) if token else NotAdmitted(Refusal.NO_SESSION)
        if isinstance(asking, NotAdmitted):
            if asking.reason is Refusal.LOCKED:
                raise Failure(ACCESS_DENIED)
            raise Failure(SESSION_ENDED, 401)
        return asking


class _Limited(Exception):
    """Asked more often than one may."""

    def __init__(self, seconds: int) -> None:
        super().__init__(seconds)
        self.seconds = seconds


def _failed(failure: Failure, command: str) -> Response:
    body: dict[str, Any] = {"err": 1, "errmsg": failure.message}
    if command == "getRecordLink" and failure.status == 200:
        body |= {"error": "1", "errormsg": failure.message}
    return _answered(body, failure.status)


def _answered(body: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(
        orjson.dumps(body), status, headers={**HEADERS, **(headers or {})}, media_type="application/json; charset=utf-8"
    )
