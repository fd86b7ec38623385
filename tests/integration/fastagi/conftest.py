"""A server for each test, which has to be empty when the test is over."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import structlog

from agi.fastagi import connection as connection_module
from agi.fastagi import server as server_module
from agi.fastagi.limits import Limits
from agi.fastagi.server import FastAgiServer
from tests.support.fastagi_bench import QUICK, Bench, Counts, Log, Service, Start


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[Log]:
    for module in (connection_module, server_module):
        monkeypatch.setattr(module, "_log", structlog.get_logger())
    with structlog.testing.capture_logs() as lines:
        yield lines


@pytest.fixture
async def start(log: Log) -> AsyncIterator[Start]:
    benches: list[Bench] = []

    async def start_server(limits: Limits = QUICK, *, hold: bool = False, **options: Any) -> Bench:
        service, counts = Service(), Counts()
        if not hold:
            service.go_on.set()
        server = FastAgiServer(service, port=0, limits=limits, observer=counts, **options)
        await server.start()
        benches.append(Bench(server, service, counts, log))
        return benches[-1]

    yield start_server
    for bench in benches:
        await bench.stop()
