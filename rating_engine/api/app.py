"""The one HTTP application: every surface under its own paths, and nothing in an answer that belongs in a log."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute

from rating_engine.api.ops.routes import MetricsExposition, Readiness, ops_routes

_log = structlog.get_logger(__name__)


def build_app(*, readiness: Readiness, metrics: MetricsExposition, surfaces: Sequence[BaseRoute] = ()) -> Starlette:
    """The application with the operator's routes and those of `surfaces` (mounts, each with its own error answers)."""
    return Starlette(
        routes=[*ops_routes(readiness, metrics), *surfaces],
        exception_handlers={Exception: answer_internal_error},
    )


async def answer_internal_error(request: Request, error: Exception) -> Response:
    """500 without a detail; the log has the traceback. For surfaces that have no answer of their own."""
    _log.error("http_request_failed", method=request.method, path=request.url.path, exc_info=error)
    return PlainTextResponse("internal error\n", status_code=500)
