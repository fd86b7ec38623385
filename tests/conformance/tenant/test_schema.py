"""Whatever requests the OpenAPI document allows, or nearly allows, are answered as it says: no 500, no other form."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import (
    ignored_auth,
    positive_data_acceptance,
)

from rating_engine.api.tenant.beyond import whole_document
from tests.support.engines import engine_on
from tests.support.servers import SessionServers
from tests.support.tenants import make_tenant

schema = schemathesis.openapi.from_dict(whole_document())

# Every check of the library is made, but for these:
LEFT_OUT = [
    # JSON Schema cannot say that amounts have five decimals, and filters, cursors and events a form of their own.
    positive_data_acceptance,
    # It sends wrong tokens, which gets an address banned, as it should; test_tenant_http.py tries tokens.
    ignored_auth,
]
EXAMPLES = 25  # an operation: all of them take a few seconds


@pytest.fixture(scope="module")
def asked_at(session_servers: SessionServers) -> Iterator[tuple[str, dict[str, str]]]:
    """Where an engine listens, on a loop of its own, and what a tenant of it says of itself."""
    started, stop = threading.Event(), asyncio.Event()
    found: dict[str, Any] = {}

    async def serve(url: str) -> None:
        # It asks more often than anybody may; test_greedy_clients.py tries that.
        async with engine_on(url, address_requests_per_minute=0, client_key_requests_per_minute=0) as engine:
            assert engine.http is not None
            host, port = engine.http.address
            found["url"] = f"http://{host}:{port}"
            found["token"] = await make_tenant(engine, "acme", "101")
            found["loop"] = asyncio.get_running_loop()
            started.set()
            await stop.wait()

    with session_servers.database() as url:
        thread = threading.Thread(target=asyncio.run, args=(serve(url),))
        thread.start()
        try:
            assert started.wait(timeout=60)
            yield found["url"], {"authorization": f"Bearer {found['token']}"}
        finally:
            if "loop" in found:
                found["loop"].call_soon_threadsafe(stop.set)
            thread.join()


@schema.parametrize()
@settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_what_is_asked_by_the_document_is_answered_by_it(case: schemathesis.Case, asked_at: tuple[str, dict[str, str]]):
    url, headers = asked_at
    case.call_and_validate(base_url=url, headers=headers, excluded_checks=LEFT_OUT)
