"""A spool under an event loop: what waits together shares an fsync, and nobody is told before it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from rating_engine.storage.spool import spool_files
from rating_engine.storage.spool.spool import Spool, SpoolRefusal, SpoolRefused
from rating_engine.storage.spool.spool_records import encode_record

ROOMY = 1_000_000


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "spool"


async def test_what_waits_together_shares_an_fsync(directory, monkeypatch):
    syncs = 0
    real = os.fdatasync

    def counted(descriptor: int) -> None:
        nonlocal syncs
        syncs += 1
        real(descriptor)

    monkeypatch.setattr(spool_files.os, "fdatasync", counted)
    spool = Spool(directory, max_bytes=ROOMY)
    await asyncio.gather(*(spool.append(b"%d" % number) for number in range(500)))
    await spool.close()

    assert syncs == 1


async def test_a_record_is_acknowledged_after_its_fsync_and_not_before(directory, monkeypatch):
    synced: list[int] = []
    real = os.fdatasync

    def noted(descriptor: int) -> None:
        real(descriptor)
        synced.append(os.fstat(descriptor).st_size)

    monkeypatch.setattr(spool_files.os, "fdatasync", noted)
    spool = Spool(directory, max_bytes=ROOMY)
    size = 0
    for number in range(5):
        await spool.append(b"%d" % number)
        size += len(encode_record(b"0"))
        assert synced[-1] == size
    await spool.close()


async def test_a_disk_that_does_not_answer_refuses(directory, monkeypatch):
    answer = asyncio.Event()
    spool = Spool(directory, max_bytes=ROOMY, append_seconds=0.01)
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(
        spool_files.os, "fdatasync", lambda _: asyncio.run_coroutine_threadsafe(answer.wait(), loop).result()
    )

    with pytest.raises(SpoolRefused) as raised:
        await spool.append(b"1")
    assert raised.value.why is SpoolRefusal.SLOW
    answer.set()
    await spool.close()


async def test_a_record_that_fits_no_file_format_is_refused(directory):
    spool = Spool(directory, max_bytes=ROOMY)
    with pytest.raises(SpoolRefused) as raised:
        await spool.append(b"x" * 100_000)
    assert raised.value.why is SpoolRefusal.UNFIT
    await spool.close()


async def test_the_state_is_told_after_each_change(directory):
    heard: list[tuple[int, int]] = []
    spool = Spool(directory, max_bytes=ROOMY, on_state=lambda *state: heard.append(state))
    await spool.append(b"1")
    window = await spool.window(9)
    assert window is not None
    await spool.done(window, window.records[:1])
    await spool.close()

    line = len(encode_record(b"1"))
    assert heard == [(1, line), (1, line), (0, 0), (0, 0)]


async def test_a_closed_spool_leaves_what_waits_to_the_next(directory):
    first = Spool(directory, max_bytes=ROOMY)
    await first.append(b"1")
    await first.close()
    second = Spool(directory, max_bytes=ROOMY)

    assert await second.adopt() == 1
    window = await second.window(9)
    assert window is not None
    assert [record.payload for record in window.records] == [b"1"]
    await second.close()
