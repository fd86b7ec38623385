"""The file of bans: whole, changed only when what is banned changes, and read by real packet filters."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest

from rating_engine.domain.ban import WHITELIST, Ban
from rating_engine.domain.ban_sets import BanFileForm, ban_file, banned_networks
from rating_engine.domain.principal import OPERATOR
from rating_engine.storage.parties.ban_file import BanFile
from tests.support.engines import engine_on
from tests.support.waiting import until

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def ban(target: str, source: str = "engine", ends: datetime | None = None) -> Ban:
    return Ban(1, source, ip_network(target), "", False, ends, 0, NOW)


BANS = [
    ban("192.0.2.7"), ban("198.51.100.0/24"), ban("198.51.100.9"), ban("198.51.100.128/25", WHITELIST),
    ban("2001:db8::/64"), ban("203.0.113.9", ends=NOW + timedelta(hours=1)),
]  # fmt: skip


class Known:
    """The bans as a test has them, at a time that it says."""

    def __init__(self, *bans: Ban) -> None:
        self.readings, self.bans, self.now = 1, bans, NOW

    def set(self, *bans: Ban) -> None:
        self.readings, self.bans = self.readings + 1, bans

    def file(self, path: Path, command: str = "") -> BanFile:
        return BanFile(
            str(path), BanFileForm.NFTABLES, command, lambda: (self.readings, self.bans), now=lambda: self.now
        )


async def test_it_is_written_when_a_ban_comes_goes_or_ends_and_else_left_alone(tmp_path):
    path, runs = tmp_path / "bans.nft", tmp_path / "runs"
    known = Known(*BANS)
    file = known.file(path, f"sh -c 'cat {path} >> {runs}; echo >> {runs}.count'")

    def count() -> int:
        return len((tmp_path / "runs.count").read_text().splitlines())

    await file.turn()
    assert "elements" not in path.read_text()
    assert "198.51.100.0/25" in path.read_text()
    assert "203.0.113.9/32" in path.read_text()
    assert count() == 1
    written = path.stat().st_mtime_ns
    for _ in range(3):
        await file.turn()
    known.set(*reversed(BANS))  # read anew, and the same
    await file.turn()
    assert (path.stat().st_mtime_ns, count()) == (written, 1)

    known.now += timedelta(hours=1)
    await file.turn()
    assert "203.0.113.9" not in path.read_text()
    known.set()
    await file.turn()
    assert "add element" not in path.read_text()
    assert count() == 3
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".")] == []


async def test_what_cannot_be_written_or_read_is_logged_and_nothing_else(tmp_path, capsys):
    known = Known(*BANS)
    for path, command in ((tmp_path / "none" / "bans", ""), (tmp_path / "bans", "false"), (tmp_path / "b", "/no/such")):
        await known.file(path, command).turn()
    said = capsys.readouterr().out
    assert said.count("ban_file_not_written") == 1
    assert said.count("ban_command_failed") == 2


@pytest.mark.parametrize(
    ("form", "program", "listing"),
    [
        (BanFileForm.NFTABLES, "nft -f {}", "nft list ruleset"),
        (BanFileForm.IPSET, "ipset restore -file {}", "ipset list"),
    ],
)
def test_a_real_packet_filter_takes_it_again_and_again(tmp_path, form, program, listing):
    if shutil.which(program.split()[0]) is None or subprocess.run(["unshare", "-n", "true"], check=False).returncode:
        pytest.skip(f"no {program.split()[0]} here, or no network of one's own")
    path = tmp_path / "bans"
    path.write_text(ban_file(banned_networks(BANS, NOW), form))
    empty = tmp_path / "empty"
    empty.write_text(ban_file([], form))
    script = " && ".join(
        [program.format(path), program.format(empty), program.format(path), program.format(path), listing]
    )
    done = subprocess.run(["unshare", "-n", "sh", "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    for wanted in ("192.0.2.7", "198.51.100.0/25", "203.0.113.9", "2001:db8::/64"):
        assert wanted in done.stdout
    assert "198.51.100.128" not in done.stdout


@pytest.fixture
async def path(database_url: str, tmp_path: Path) -> AsyncIterator[Path]:
    path = tmp_path / "bans.nft"
    async with engine_on(database_url, ban_file=str(path)) as engine:
        await engine.services.of(OPERATOR).bans.add("192.0.2.7", source="pbx1", reason="guesses")
        yield path


async def test_an_engine_keeps_it(path):
    async def is_there() -> bool:
        return path.is_file() and "192.0.2.7" in path.read_text()

    await until(is_there)
