"""The one HTTP application: every surface under its own paths, and nothing in an answer that belongs in a log."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rating_engine.api.common.paths import shown_path
from rating_engine.api.ops.routes import MetricsExposition, Readiness, ops_routes

_log = structlog.get_logger(__name__)


def build_app(
    *,
    readiness: Readiness,
    metrics: MetricsExposition,
    surfaces: Sequence[BaseRoute] = (),
    proxies: Middleware | None = None,
) -> Starlette:
    """The application with the operator's routes and those of `surfaces` (mounts, each with its own error answers).

    `proxies`: what finds out who asks behind them (common/client.BehindProxies).
    """
    routes = [*ops_routes(readiness, metrics), *surfaces]
    return Starlette(routes=routes, middleware=[Middleware(ErrorBoundary), *([proxies] if proxies else ())])


class ErrorBoundary:
    """Where an unexpected error ends: one line in the log, and 500 without a detail if nothing was answered yet.

    Starlette's own handler of such errors raises them again after the answer, and the server logs them again.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (ASGI)."""
        answered = False

        async def note_and_send(message: Message) -> None:
            nonlocal answered
            answered = True
            await send(message)

        try:
            await self._app(scope, receive, note_and_send)
        except ClientDisconnect:  # before its request was complete; nobody is there to be told
            _log.debug("http_client_left", method=scope.get("method"), path=shown_path(scope.get("path", "")))
        except Exception:
            _log.exception("http_request_failed", method=scope.get("method"), path=shown_path(scope.get("path", "")))
            if not answered:  # otherwise the server sees an unfinished answer and closes the connection
                await PlainTextResponse("internal error\n", status_code=500)(scope, receive, send)
