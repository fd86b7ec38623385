"""A used embedded database moves to another server: the same money, the same calls, and calls go on there."""

from __future__ import annotations

import os
import tempfile
from decimal import Decimal
from pathlib import Path

import pytest

from agi.fastagi.client import agi_call
from rating_engine.domain.outcomes import CallKey, FinishCall, Saved
from tests.support.calls import NUMBER, finish, prepare
from tests.support.commands import Commands
from tests.support.engines import engine_on


@pytest.fixture
def open_directory():
    """A directory that the servers' own user may enter, which pytest's may not be."""
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        yield Path(directory)


async def test_all_that_was_embedded_is_on_the_other_server_and_calls_go_on(open_directory, empty_database_url):
    cli = Commands(open_directory, embedded_data_dir=open_directory / "data")
    (open_directory / "deck.csv").write_text("prefix,price\n49,0.60\n")
    with cli.serving("--embedded") as engine:
        assert cli.run("rates", "import", "deck.csv", "--tariff", "retail").returncode == 0
        cli.json("account", "create", "--login", "1001", "--tariff", "retail", "--balance", "10")
        cli.json("call", "--login", "1001", NUMBER, "--seconds", "60", "--port", engine.fastagi_port)
        talking = await agi_call(
            "127.0.0.1", engine.fastagi_port, "callPrepare", ["1001", NUMBER, "", "1"], uniqueid="talking"
        )
        assert talking["RATING_STATUS"] == "ALLOWED"
        statement = cli.json("account", "statement", "1001")
        assert "is in use by process" in cli.refused("data", "export", "used.sql")

    exported = cli.json("data", "export", "used.sql")
    moved = Commands(open_directory, database_url=empty_database_url)
    imported = moved.json("data", "import", "used.sql")

    assert imported == exported
    assert (exported["balances"], exported["open_calls"], exported["ended_calls"]) == ({"EUR": "9.4"}, 1, 1)
    assert moved.json("account", "statement", "1001") == statement
    assert "the database is not empty" in moved.refused("data", "import", "used.sql")
    async with engine_on(empty_database_url) as there:
        end = FinishCall(CallKey("127.0.0.1", "talking"), "1001", NUMBER, 30, "ANSWER", 16)
        assert isinstance(await there.charging.finish_call(end), Saved)
        await there.charging.prepare_call(prepare("new"))
        assert isinstance(await there.charging.finish_call(finish("new", 10)), Saved)
    after = moved.json("account", "show", "1001")
    assert (Decimal(after["balance"]), after["reserved"]) == (Decimal("9.0"), "0")
    assert moved.json("doctor")["clean"] is True


def test_what_is_no_exported_file_or_no_embedded_database_is_refused_in_a_line(open_directory, empty_database_url):
    cli = Commands(open_directory, embedded_data_dir=open_directory / "data", database_url=empty_database_url)
    (open_directory / "other.sql").write_text("DROP TABLE accounts;\n")
    (open_directory / "broken.sql").write_text("-- rating-engine data {}\nCREATE TABLE one ();\nSELECT * FROM two;\n")

    assert "there is no embedded database in" in cli.refused("data", "export", "used.sql")
    assert "was not written by" in cli.refused("data", "import", "other.sql")
    assert "No such file" in cli.refused("data", "import", "nowhere.sql")
    for _ in range(2):  # nothing of it was left
        done = cli.run("data", "import", "broken.sql")
        assert (done.returncode, done.stdout) == (1, "")
        assert 'relation "two" does not exist' in done.stderr
        assert "Traceback" not in done.stderr
