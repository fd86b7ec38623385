"""A log that nobody reads: calls go on, lines are dropped and counted, and SIGTERM ends the engine."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from agi.fastagi.client import agi_call
from rating_engine.storage.postgres.pool import Database
from tests.support.calls import NUMBER
from tests.support.commands import Commands, Served
from tests.support.waiting import until
from tests.support.world import add_account, publish_deck

PIPE_BYTES = 4_096  # the least that Linux gives a pipe: some lines
QUEUE_BYTES = 16_384  # and some dozens more


@pytest.fixture
async def cli(database_url: str, tmp_path: Path) -> Commands:
    database = Database(database_url)
    await database.open()
    await publish_deck(database)
    await add_account(database, balance="10000")
    await database.close()
    settings = {"log_queue_bytes": QUEUE_BYTES, "database_timeout_seconds": 60}
    return Commands(tmp_path, database_url=database_url, spool_dir=tmp_path / "spool", **settings)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Reading and writing end of a small pipe; the test may close the reading end."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    yield reader, writer
    os.close(writer)
    os.close(reader)


async def place_calls(engine: Served, name: str, count: int) -> None:
    """Calls to their end, each of which writes two lines."""
    for number in range(count):
        arguments = ["1001", NUMBER]
        uniqueid = f"{name}{number}"
        prepared = await agi_call("127.0.0.1", engine.fastagi_port, "callPrepare", arguments, uniqueid=uniqueid)
        assert prepared["RATING_STATUS"] == "ALLOWED"
        arguments += ["1", "16ANSWER"]
        ended = await agi_call("127.0.0.1", engine.fastagi_port, "callFinish", arguments, uniqueid=uniqueid)
        assert ended["RATING_STATUS"] == "SAVED"


def dropped(engine: Served) -> float:
    """Lines that the engine counts as dropped."""
    families = text_string_to_metric_families(engine.get("/metrics"))
    samples = [sample for family in families for sample in family.samples]
    return sum(sample.value for sample in samples if sample.name == "rating_log_lines_dropped_total")


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_a_log_that_nobody_reads_costs_lines_and_no_call(
    cli: Commands, pipe: tuple[int, int], workers: str
) -> None:
    with cli.serving("--workers", workers, output=pipe[1]) as engine:
        await place_calls(engine, "a", 120)  # about 60 kB of lines: more than pipe and queues hold

        async def are_counted() -> bool:
            return await asyncio.to_thread(dropped, engine) > 0

        assert await until(are_counted)
        await place_calls(engine, "b", 5)
        engine.signal(signal.SIGTERM)
        assert await asyncio.to_thread(engine.wait) == 0


async def test_who_reads_again_is_told_how_many_lines_are_missing(cli: Commands, pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    received = bytearray()
    with cli.serving(output=writer) as engine:
        await place_calls(engine, "a", 120)
        reading = threading.Thread(target=lambda: read_all(os.dup(reader), received), daemon=True)
        reading.start()

        async def is_told() -> bool:
            return b"log_lines_dropped" in received

        await until(is_told)
        await place_calls(engine, "b", 3)
        engine.signal(signal.SIGTERM)
        assert await asyncio.to_thread(engine.wait) == 0

        async def is_complete() -> bool:
            return b"engine_stopped" in received

        await until(is_complete)
    events = [json.loads(line) for line in bytes(received).splitlines()]
    calls = sum(event["event"] in ("call_prepare", "call_finish") for event in events)
    missing = sum(event["count"] for event in events if event["event"] == "log_lines_dropped")
    assert missing > 0
    assert calls + missing == 2 * 123  # every line is there or counted, the last ones too


def read_all(descriptor: int, into: bytearray) -> None:
    """Read until nobody writes any more."""
    while data := os.read(descriptor, 65_536):
        into.extend(data)


async def test_a_log_whose_reader_has_gone_costs_lines_and_no_call(cli: Commands, tmp_path: Path) -> None:
    reader, writer = os.pipe()
    with cli.serving(output=writer) as engine:
        os.close(writer)
        os.close(reader)
        await place_calls(engine, "a", 3)

        async def are_counted() -> bool:
            return await asyncio.to_thread(dropped, engine) >= 6

        assert await until(are_counted)
        engine.signal(signal.SIGTERM)
        assert await asyncio.to_thread(engine.wait) == 0
