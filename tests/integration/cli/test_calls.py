"""`rating-engine calls`, and what doctor says of exchanges that nobody watches."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agi.channel_variables import RATING_QUOTA
from rating_engine.engine.engine import Engine
from rating_engine.storage.calls.exchange_watch import say_watched
from rating_engine.storage.calls.open_calls import open_calls_of
from tests.support.calls import finish, prepare
from tests.support.commands import Commands
from tests.support.engines import engine_on
from tests.support.world import add_account, publish_deck

AMI = "pbx1=ami://engine:secret@10.0.0.1"


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[Engine]:
    """Two calls open, one finished, one settled without a finish."""
    async with engine_on(database_url) as engine:
        await publish_deck(engine.office)
        await add_account(engine.office, balance="100")
        await engine.office.fetch("UPDATE subscribers SET max_seconds = 60")
        for name in ("finished", "forgotten", "first", "second"):
            await engine.charging.prepare_call(prepare(name))
        await engine.charging.finish_call(finish("finished", 5))
        (forgotten,) = [c for c in await open_calls_of(engine.office, "test") if c.call_key.uniqueid == "forgotten"]
        await engine.lasting.reconcile_call(forgotten)
        yield engine


@pytest.fixture
def cli(engine: Engine, database_url: str, tmp_path: Path) -> Commands:
    return Commands(tmp_path, database_url=database_url)


def test_open_calls_are_listed_with_what_they_hold(cli):
    listed = cli.json("calls", "--open")
    assert [call["call"] for call in listed["calls"]] == ["test/first/1", "test/second/1"]
    first = listed["calls"][0]
    assert (first["login"], first["destination"], first["mode"]) == ("1001", "4912345", "full")
    assert (first["held"], first["currency"], first["answered_at"]) == ("0.600000", "EUR", None)
    assert listed["more"] is False


def test_calls_that_ended_without_a_finish_are_listed(cli):
    listed = cli.json("calls", "--reconciled")
    (call,) = listed["calls"]
    assert (call["call"], call["state"], call["source"]) == ("test/forgotten/1", "voided", "reconciled")


def test_a_limit_says_that_there_are_more(cli):
    listed = cli.json("calls", "--open", "--limit", 1)
    assert (len(listed["calls"]), listed["more"]) == (1, True)
    assert "there are more" in cli.run("calls", "--open", "--limit", 1).stdout


def test_tables_show_every_call(cli):
    opened = cli.run("calls", "--open").stdout
    assert [name in opened for name in ("test/first/1", "test/second/1", "test/forgotten/1")] == [True, True, False]
    done = cli.run("calls", "--reconciled").stdout
    assert "test/forgotten/1" in done
    assert "voided" in done
    assert "test/finished/1" not in opened + done


def test_which_calls_are_meant_has_to_be_said(cli):
    assert "calls --open" in cli.refused("calls")
    assert "calls --open" in cli.refused("calls", "--open", "--reconciled")


async def test_where_there_is_nothing_to_list_it_says_so(cli, engine):
    for name in ("first", "second"):
        await engine.charging.finish_call(finish(name, 0))
    assert cli.run("calls", "--open").stdout == "no call is open\n"
    assert cli.json("calls", "--open") == {"calls": [], "more": False, "next": None}


async def test_ends_that_a_person_should_look_at_are_listed_and_found_by_the_doctor(cli, engine):
    assert cli.run("calls", "--suspicious").stdout == "no call ended suspiciously\n"
    await engine.charging.finish_call(finish("first", 43_201))
    (call,) = cli.json("calls", "--suspicious")["calls"]
    assert (call["call"], call["suspicion"], call["seconds"], call["said_seconds"], call["seen_seconds"]) == (
        "test/first/1", "too_long", 43_201, 43_201, None,
    )  # fmt: skip
    assert "too_long" in cli.run("calls", "--suspicious").stdout
    checks = json.loads(cli.run("doctor", "--json").stdout)["checks"]
    (finding,) = [finding for check in checks if check["name"] == "ends" for finding in check["findings"]]
    assert "1 of the last day's calls ended after their exchange should have cut them" in finding["what"]


def quota_check(cli: Commands, **settings: object) -> list[dict[str, str]]:
    done = cli.run("doctor", "--json", **settings)
    (check,) = [check for check in json.loads(done.stdout)["checks"] if check["name"] == "quota"]
    return check["findings"]


async def test_doctor_says_where_slices_are_wanted_and_nobody_watches(cli, engine):
    assert quota_check(cli) == []
    (finding,) = quota_check(cli, ami_exchanges=AMI)
    assert "exchange test is not watched" in finding["what"]
    assert "ami_exchanges" in finding["mend"]
    await say_watched(engine.office, ["test"], 600)
    assert quota_check(cli, ami_exchanges=AMI) == []


@pytest.mark.parametrize(
    ("text", "known"), [("AGI(callPrepare) L(${RATING_MAX_MS})", 0), ("callPrepare RATING_QUOTA", 1)]
)
def test_doctor_says_of_an_older_dialplan_that_it_cuts_every_call_after_one_slice(cli, text, known):
    file = cli.directory / "extensions.conf"
    file.write_text(text)
    done = cli.run("doctor", "--json", "--dialplan", file, ami_exchanges=AMI)
    (check,) = [check for check in json.loads(done.stdout)["checks"] if check["name"] == "quota"]
    assert sum(RATING_QUOTA in finding["what"] for finding in check["findings"]) == 1 - known


def test_open_calls_are_listed_a_page_at_a_time(cli):
    first = cli.json("calls", "--open", "--limit", 1)
    second = cli.json("calls", "--open", "--limit", 1, "--after", first["next"])
    assert [call["call"] for call in first["calls"] + second["calls"]] == ["test/first/1", "test/second/1"]
    assert second["next"] is None


def test_a_call_is_hung_up_by_its_name_or_it_says_why_not(cli):
    assert "no call test/nobody/1 is open" in cli.refused("hangup", "test/nobody/1")
    assert "not followed over AMI" in cli.refused("hangup", "test/first/1")
    assert "is no call such as" in cli.refused("hangup", "nobody")


def test_ended_calls_are_listed_shown_and_summed_up(cli):
    (forgotten, finished) = cli.json("cdrs", "list")["cdrs"]
    assert (finished["call"], finished["seconds"], finished["cost"]) == ("test/finished/1", 5, "0.050000")
    assert forgotten["source"] == "reconciled"
    assert cli.json("cdrs", "show", "test/finished/1")["rate"].startswith("{")
    assert "0.6 per minute" in cli.run("cdrs", "show", "test/finished/1").stdout
    (sums,) = cli.json("cdrs", "sums", "--by", "login", "--answered")["sums"]
    assert (sums["login"], sums["calls"], sums["cost"]) == ("1001", 1, "0.050000")
    assert "test/finished/1" in cli.run("cdrs", "list").stdout
    assert "1001" in cli.run("cdrs", "sums", "--by", "day", "--by", "login").stdout
    assert cli.run("cdrs", "list", "--to", "2020-01-01").stdout == "no such call has ended then\n"
    assert "until: must be after since" in cli.refused("cdrs", "list", "--from", "2026-01-02", "--to", "2026-01-01")
