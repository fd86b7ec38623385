"""The spool's disk full while PostgreSQL is away: refused loudly, never forgotten, charged once when said again."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.load import NOT_KEPT, SPOOLED
from tests.faults.stage import stage_on

SMALLEST = 65_536  # the smallest spool that the settings allow: some seventy ends
TALKERS = 200  # so that more calls end than it holds
TMPFS_BYTES = 64 * 1024


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A directory on a disk of TMPFS_BYTES."""
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if os.geteuid() != 0 or mount is None or umount is None:
        pytest.skip("only root may mount a small disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    done = subprocess.run(
        [mount, "-t", "tmpfs", "-o", f"size={TMPFS_BYTES}", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if done.returncode != 0:
        pytest.skip(f"no small disk may be mounted here: {done.stderr.decode().strip()}")
    yield disk
    subprocess.run([umount, str(disk)], check=True)


async def play(servers, url, tmp_path, seed, table, fault: str, **settings: str | int) -> None:
    async with stage_on(servers, url, tmp_path, seed, talkers=TALKERS, **settings) as stage:
        await stage.load.until_talking(TALKERS)
        stage.strike()
        await asyncio.to_thread(servers.postgres.kill)
        stage.load.phase = "outage"
        await stage.load.until_heard("finish", NOT_KEPT)
        await stage.load.after(100)
        assert set(stage.load.answers("finish", "outage")) == {SPOOLED, NOT_KEPT}
        await asyncio.to_thread(servers.postgres.start)
        found = await stage.close_books()

    refused = [call for call in stage.load.calls if NOT_KEPT in call.ended]
    table.add(stage.row(fault, found))
    assert found.complaints() == []
    assert any(call.acknowledged for call in refused)
    assert b"finish_lost" in stage.engine.log.read_bytes()  # said in the log, with all that a person needs


async def test_a_full_spool_refuses_and_charges_once_what_is_said_again(servers, url, tmp_path, seed, table):
    await play(servers, url, tmp_path, seed, table, "spool: full by its setting", spool_max_bytes=SMALLEST)


async def test_a_full_disk_refuses_and_charges_once_what_is_said_again(servers, url, tmp_path, seed, table, small_disk):
    await play(servers, url, tmp_path, seed, table, "spool: disk full", spool_dir=str(small_disk / "spool"))
