"""`rating-engine serve` and `call` as an operator runs them: ports, workers, draining, data that stays."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from agi.fastagi.client import CallFailedError, agi_call
from rating_engine.storage.postgres.pool import Database
from tests.support.blocking import locked_accounts
from tests.support.calls import NUMBER
from tests.support.commands import Commands, Served, steady_port
from tests.support.waiting import until, wait_until
from tests.support.world import add_account, publish_deck


@pytest.fixture
async def cli(database_url: str, redis_url: str, tmp_path: Path) -> Commands:
    """Commands on a database where account 1001 has 10 EUR and a second to 49 costs a cent."""
    database = Database(database_url)
    await database.open()
    await publish_deck(database)
    await add_account(database, balance="10")
    await database.close()
    return Commands(tmp_path, database_url=database_url, redis_url=redis_url, spool_dir=tmp_path / "spool")


async def ask(engine: Served, script: str, name: str, *more: str) -> dict[str, str]:
    """As Asterisk asks about the call `name`."""
    arguments = ["1001", NUMBER, *more] if script != "ping" else []
    return await agi_call("127.0.0.1", engine.fastagi_port, script, arguments, uniqueid=name)


def counted(engine: Served, name: str) -> dict[tuple[str, str, str], float]:
    """Calls by stage, outcome and reason, as one scrape shows them."""
    families = text_string_to_metric_families(engine.get("/metrics"))
    return {
        (sample.labels["stage"], sample.labels["outcome"], sample.labels["reason"]): sample.value
        for family in families
        for sample in family.samples
        if sample.name == name
    }


# -- call --------------------------------------------------------------------------------------------------------


def test_a_call_is_placed_and_charged_as_asterisk_would_place_it(cli):
    with cli.serving() as engine:
        said = cli.json("call", "--login", "1001", "+49 123 45", "--seconds", "61", "--port", engine.fastagi_port)

    assert said["prepare"]["RATING_STATUS"] == "ALLOWED"
    assert said["prepare"]["RATING_MAX_SECONDS"] == "500"  # half of what is available
    assert said["finish"]["RATING_STATUS"] == "SAVED"
    assert said["finish"]["RATING_COST"] == "0.61000"
    assert cli.json("account", "show", "1001")["balance"] == "9.39"
    assert cli.run("doctor").returncode == 0


def test_a_call_talks_no_longer_than_it_is_allowed(cli):
    with cli.serving() as engine:
        asked = ("call", "--login", "1001", NUMBER, "--seconds", "5000", "--port", engine.fastagi_port)
        said = cli.json(*asked, "--route", "trunk7")  # there is no route, so that any is taken

    assert said["prepare"]["RATING_ROUTE_NAME"] == "trunk7"
    assert said["finish"]["RATING_BILLED_SECONDS"] == "500"  # half of what is available
    assert cli.json("account", "show", "1001")["balance"] == "5"


def test_a_declined_call_is_shown_with_its_reason_and_exit_status_1(cli):
    with cli.serving() as engine:
        done = cli.run("call", "--login", "nobody", NUMBER, "--seconds", "5", "--port", engine.fastagi_port)

    assert done.returncode == 1
    assert "unknown_login" in done.stdout
    assert "callFinish" not in done.stdout


# -- serve -------------------------------------------------------------------------------------------------------


async def test_sigterm_answers_what_was_asked_takes_nothing_new_and_ends_well(cli, database_url):
    with cli.serving(database_timeout_seconds=60) as engine:
        async with locked_accounts(database_url) as is_waited_for:
            asked = asyncio.create_task(ask(engine, "callPrepare", "1"))
            await until(is_waited_for)
            engine.signal(signal.SIGTERM)
            await until(lambda: refuses(engine))
        answer = await asked
        status = await asyncio.to_thread(engine.wait)

    assert (answer["RATING_STATUS"], status) == ("ALLOWED", 0)
    assert [event["cut"] for event in engine.events("engine_stopped")] == [0]


async def refuses(engine: Served) -> bool:
    """Whether a new call is refused."""
    try:
        await ask(engine, "ping", "2")
    except CallFailedError:
        return True
    return False


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("setting", ["fastagi_port", "http_port"])
def test_a_port_that_is_taken_is_named_and_nothing_is_started(cli, setting, workers):
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        taken = stranger.getsockname()[1]
        ports = {"fastagi_port": steady_port(), "http_port": steady_port(), setting: taken}
        done = cli.run("serve", "--workers", workers, **ports)

    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert f"cannot listen on 127.0.0.1 port {taken}" in done.stdout + done.stderr


async def whole_call(engine: Served, name: str) -> None:
    """A call from its beginning to its end."""
    await ask(engine, "callPrepare", name)
    await ask(engine, "callFinish", name, "1", "16ANSWER")


async def test_two_workers_share_the_ports_and_any_of_them_counts_for_both(cli):
    with cli.serving("--workers", "2") as engine:
        both = [process.pid for process in psutil.Process(engine.pid).children()]
        calls = 0
        # Which of them accepts is the kernel's to say: calls at the same time, until both have had some.
        while len(served := {event["worker"] for event in engine.events("call_prepare")}) < 2 and calls < 2_000:
            await asyncio.gather(*(whole_call(engine, str(n)) for n in range(calls, calls + 20)))
            calls += 20

        async def all_are_shown() -> bool:
            return sum((await asyncio.to_thread(counted, engine, "rating_calls_total")).values()) == 2 * calls

        await until(all_are_shown)  # a worker's last counts a moment later than it has them
        scrapes = [await asyncio.to_thread(counted, engine, "rating_calls_total") for _ in range(10)]

    assert len(both) == 2
    assert served == {1, 2}  # both took calls
    of_each = [
        {script: sum(count for (of, *_), count in scrape.items() if of == script) for script in ("prepare", "finish")}
        for scrape in scrapes
    ]
    assert of_each == [{"prepare": calls, "finish": calls}] * 10
    assert not any(psutil.pid_exists(pid) for pid in both)


async def test_an_engine_without_postgresql_starts_declines_and_serves_once_it_is_there(cli, private_servers):
    servers = private_servers
    assert Commands(cli.directory, database_url=servers.database_url).run("migrate").returncode == 0
    servers.postgres.stop()
    with cli.serving(page="/healthz", database_url=servers.database_url) as engine:
        assert (await ask(engine, "callPrepare", "1"))["RATING_REASON"] == "unavailable"
        servers.postgres.restart()

        async def is_ready() -> bool:
            return (await ask(engine, "callPrepare", "1"))["RATING_REASON"] == "unknown_login"

        assert await until(is_ready)


def is_ready(engine: Served) -> bool:
    """Whether calls can be served."""
    try:
        return bool(engine.get("/readyz"))
    except OSError:
        return False


# -- serve --embedded --------------------------------------------------------------------------------------------


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that the servers' own user may enter, which pytest's may not be."""
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        yield Path(directory)


def test_embedded_servers_keep_their_data_and_end_with_the_engine(open_directory):
    cli = Commands(open_directory, embedded_data_dir=open_directory / "data", spool_dir=open_directory / "spool")
    deck = open_directory / "deck.csv"
    deck.write_text("prefix,price\n49,0.60\n")
    with cli.serving("--embedded") as engine:
        assert cli.run("rates", "import", deck, "--tariff", "retail").returncode == 0
        cli.json("account", "create", "--login", "1001", "--tariff", "retail", "--balance", "10")
        cli.json("call", "--login", "1001", NUMBER, "--seconds", "60", "--port", engine.fastagi_port)
        before = cli.json("account", "show", "1001")
        children = psutil.Process(engine.pid).children(recursive=True)
        assert engine.end(signal.SIGTERM) == 0

    wait_until(lambda: not any(child.is_running() for child in children), "the servers have ended")
    assert "database_url is not set" in cli.refused("account", "show", "1001")

    with cli.serving("--embedded"):
        assert cli.json("account", "show", "1001") == before
        assert before["balance"] == "9.4"
        assert "is in use by process" in cli.refused("serve", "--embedded", fastagi_port=0, http_port=0)
        assert cli.run("doctor").returncode == 0


async def test_a_call_that_ends_while_the_embedded_postgresql_is_dead_is_charged_at_the_next_start(open_directory):
    cli = Commands(open_directory, embedded_data_dir=open_directory / "data")
    deck = open_directory / "deck.csv"
    deck.write_text("prefix,price\n49,0.60\n")
    with cli.serving("--embedded") as engine:
        assert cli.run("rates", "import", deck, "--tariff", "retail").returncode == 0
        cli.json("account", "create", "--login", "1001", "--tariff", "retail", "--balance", "10")
        await ask(engine, "callPrepare", "1")
        postgres = [p for p in psutil.Process(engine.pid).children(recursive=True) if p.name() == "postgres"]
        next(process for process in postgres if process.parent() not in postgres).kill()
        wait_until(lambda: not is_ready(engine), "the engine has noticed")
        said = await ask(engine, "callFinish", "1", "60", "16ANSWER")
        assert (said["RATING_STATUS"], said["RATING_REASON"]) == ("SAVED", "spooled")

    with cli.serving("--embedded"):
        wait_until(lambda: cli.json("account", "show", "1001")["balance"] == "9.4", "the call is charged")
        assert cli.run("doctor").returncode == 0
