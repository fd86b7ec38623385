"""/metrics for Prometheus, /healthz for who restarts the process, /readyz for who sends it calls.

Law: /healthz depends on nothing but the process. A database that is down must not get a working engine restarted:
it declines calls as it should, and that is what /readyz says.
"""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

import orjson
import structlog
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

READINESS_SECONDS: Final = 2.0  # the usual deadline of a prober is longer; no answer is an answer too

_log = structlog.get_logger(__name__)


class Readiness(Protocol):
    """Knows what the engine needs and whether it has it."""

    async def readiness(self) -> dict[str, str | None]:
        """Each dependency by name, with what is wrong with it in words, or None when it is well."""

    def exchanges(self) -> dict[str, str]:
        """Each seat at an exchange whose calls are held here or by another engine, with how it is."""


class MetricsExposition(Protocol):
    """All metrics as Prometheus reads them."""

    def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """Body and content type for an Accept header."""


def ops_routes(readiness: Readiness, metrics: MetricsExposition) -> list[Route]:
    """The routes of this surface, GET and HEAD only."""

    async def show_metrics(request: Request) -> Response:
        # in a thread: with several workers it reads a file per worker, and calls must not wait for that
        body, content_type = await asyncio.to_thread(metrics.exposition, request.headers.get("accept", ""))
        return Response(body, headers={"content-type": content_type})

    async def show_ready(_request: Request) -> Response:
        missing = await what_is_missing(readiness)
        return Response(
            orjson.dumps({"ready": not missing, "missing": missing, **_exchanges(readiness)}) + b"\n",
            status_code=503 if missing else 200,
            media_type="application/json",
            headers={"cache-control": "no-store"},
        )

    return [
        Route("/metrics", show_metrics, methods=["GET"]),
        Route("/healthz", show_alive, methods=["GET"]),
        Route("/readyz", show_ready, methods=["GET"]),
    ]


def _exchanges(readiness: Readiness) -> dict[str, dict[str, str]]:
    """Told, and no reason not to be ready: one exchange that is away is no matter of the others."""
    seats = readiness.exchanges()
    return {"exchanges": seats} if seats else {}


async def show_alive(_request: Request) -> Response:
    """200 as long as the event loop runs."""
    return PlainTextResponse("ok\n", headers={"cache-control": "no-store"})


async def what_is_missing(readiness: Readiness) -> list[str]:
    """What the engine lacks to take calls, as `name: what is wrong`; empty when it lacks nothing."""
    try:
        async with asyncio.timeout(READINESS_SECONDS):
            state = await readiness.readiness()
    except TimeoutError:
        return [f"readiness: no answer within {READINESS_SECONDS:g} s"]
    except Exception as error:
        _log.exception("readiness_failed")
        return [f"readiness: {type(error).__name__}"]
    return [f"{name}: {problem}" for name, problem in sorted(state.items()) if problem is not None]
