"""`calls post`: ends that no engine took are charged out of the exchange's files, each once, by the rate they had."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.outcomes import CallKey, FinishCall, PrepareCall
from rating_engine.domain.principal import OPERATOR
from rating_engine.domain.reported_end import PostOutcome
from rating_engine.rating.rate import Rate
from rating_engine.services.cdrs.posting import CallPosting, PostOptions
from rating_engine.storage.calls.ledger import Ledger
from rating_engine.storage.parties.accounts import account_state
from rating_engine.storage.postgres.pool import Database
from tests.support.calls import NUMBER
from tests.support.commands import Commands
from tests.support.engines import engine_on
from tests.support.world import add_account, publish_deck

NOW = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)
TEN_CENTS_A_SECOND = Rate(price_1="6", price_unit="minute", interval_1=1, interval_n=1)
CHARGED, KNOWN, REFUSED, UNMATCHED, UNREADABLE = (
    PostOutcome.CHARGED, PostOutcome.KNOWN, PostOutcome.REFUSED, PostOutcome.UNMATCHED, PostOutcome.UNREADABLE,
)  # fmt: skip


def uniqueid(number: int) -> str:
    return f"{int(NOW.timestamp())}.{number}"


def line(number: int, seconds: int, *, login: str = "1001", attempt: int = 1, ended: datetime | None = None) -> str:
    moment = ended or NOW + timedelta(seconds=seconds)
    said = f"login={login} destination={NUMBER} seconds={seconds} status=16ANSWER attempt={attempt}"
    return (
        f"[{moment:%Y-%m-%d %H:%M:%S}] ERROR[4711][C-0000001a] Ext. s: rating: NOT SAVED: callFinish of"
        f" {uniqueid(number)} {said} (FAILURE unavailable)"
    )


def record(number: int, seconds: int, disposition: str = "ANSWERED") -> str:
    ended = NOW + timedelta(seconds=seconds)
    return (
        f'"","100","{NUMBER}","rating-attempts","x","PJSIP/1-0000001a","PJSIP/default-0000001b","Dial","x",'
        f'"{NOW:%Y-%m-%d %H:%M:%S}","{NOW:%Y-%m-%d %H:%M:%S}","{ended:%Y-%m-%d %H:%M:%S}",{seconds},{seconds},'
        f'"{disposition}","DOCUMENTATION","{uniqueid(number)}"'
    )


class Office:
    """A database with calls that pbx1 asked for, and what posts files to it."""

    def __init__(self, database, directory):
        self.database = database
        self.directory = directory
        self.posting = CallPosting(database, OPERATOR, buckets=1, international_prefix="00")

    async def post(self, *lines, exchange=None, dry_run=False, name="messages.log"):
        """Every line's outcome, cost and reason."""
        path = self.directory / name
        text = "\n".join((*lines, ""))
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
        report = await self.posting.post(path, PostOptions(exchange, "UTC", None, dry_run))
        return [(one.line, one.outcome, one.cost, one.reason) for one in report.listed]

    async def balance(self, login="1001"):
        state = await account_state(self.database, login)
        return state.balance, state.reserved


@pytest.fixture
async def office(database_url, tmp_path):
    """Calls 1 to 3 are open."""
    database = Database(database_url)
    await database.open()
    await publish_deck(database)
    await add_account(database, "1001", balance="100")
    async with engine_on(database_url) as engine:
        for number in (1, 2, 3):
            await engine.charging.prepare_call(PrepareCall(CallKey("pbx1", uniqueid(number)), "1001", NUMBER))
    await database.fetch("UPDATE open_calls SET prepared_at = $1", NOW)
    yield Office(database, tmp_path)
    await database.close()


async def test_lines_of_a_log_are_shown_first_then_charged_once_however_often_they_are_posted(office):
    lines = ["[x] NOTICE[1] a.c: b", line(1, 42), line(2, 0), "x: " + line(3, 5).partition("Ext. s: ")[2]]

    preview = await office.post(*lines, dry_run=True)
    before = await office.balance()
    done = await office.post(*lines)
    money = await office.balance()
    again = await office.post(*lines, name="full.gz")

    assert preview == done == [
        (2, CHARGED, Decimal("0.42"), ""), (3, CHARGED, Decimal(0), ""),
        (4, UNREADABLE, None, "says NOT SAVED, but has no level such as ERROR[4711] before it"),
    ]  # fmt: skip
    assert before[0] == 100
    assert money[0] == Decimal("99.58")
    assert [outcome for _, outcome, *_ in again] == [KNOWN, KNOWN, UNREADABLE]
    assert await office.balance() == money
    cdr = await office.database.fetchrow("SELECT * FROM cdrs WHERE seconds = 42")
    assert (cdr["source"], cdr["ended_at"]) == ("finish", NOW + timedelta(seconds=42))


async def test_records_of_the_exchange_charge_calls_that_were_asked_for_and_nothing_else(office):
    rows = [record(1, 42), record(2, 0, "BUSY"), record(99, 600), record(3, 4_000), "broken,row"]

    preview = await office.post(*rows, dry_run=True, name="Master.csv")
    done = await office.post(*rows, name="Master.csv")
    again = await office.post(*rows, name="Master.csv")

    assert preview == done
    assert [(number, outcome, cost) for number, outcome, cost, _ in done] == [
        (1, CHARGED, Decimal("0.42")), (2, CHARGED, Decimal(0)), (3, UNMATCHED, None), (4, REFUSED, None),
        (5, UNREADABLE, None),
    ]  # fmt: skip
    assert [outcome for _, outcome, *_ in again] == [KNOWN, KNOWN, UNMATCHED, REFUSED, UNREADABLE]
    assert (await office.balance())[0] == Decimal("99.58")


async def test_a_record_of_a_call_that_its_line_has_charged_charges_nothing_though_its_seconds_are_cut(office):
    await office.post(line(1, 43))

    assert await office.post(record(1, 42), name="Master.csv") == [(1, KNOWN, None, "")]
    assert (await office.balance())[0] == Decimal("99.57")


async def test_what_was_assumed_of_a_call_is_corrected_by_its_line(office):
    await office.database.fetch("UPDATE open_calls SET expires_at = now() - interval '1 second'")
    await Ledger(office.database).expire(0)
    assert await office.balance() == (100, 0)

    assert (await office.post(line(1, 42)))[0][:3] == (1, CHARGED, Decimal("0.42"))
    cdr = await office.database.fetchrow("SELECT source, seconds FROM cdrs WHERE seconds > 0")
    assert tuple(cdr) == ("late", 42)


async def test_a_call_that_no_engine_heard_of_is_priced_by_the_deck_of_its_own_time(office):
    """The deck of now is ten times as dear, and was published after the call."""
    await office.database.fetch("UPDATE rate_decks SET effective_from = now() - interval '1 day'")
    deck = await publish_deck(office.database, rates={"49": TEN_CENTS_A_SECOND})
    await office.database.fetch(
        "UPDATE rate_decks SET effective_from = $2 WHERE deck_id = $1", deck.deck_id, NOW - timedelta(seconds=60)
    )
    old, new = NOW - timedelta(minutes=20), NOW + timedelta(seconds=10)
    early = line(50, 10, ended=old).replace(uniqueid(50), f"{int(old.timestamp()) - 15}.50")

    done = await office.post(early, line(51, 10, ended=new), exchange="pbx1")

    assert [cost for _, _, cost, _ in done] == [Decimal("0.10"), Decimal("1.00")]


async def test_lines_that_are_not_certain_are_left_with_the_reason_and_the_others_are_charged(office):
    await add_account(office.database, "1002", balance="5")
    lines = [line(1, 10), line(2, 10, login="1002"), line(3, 10), line(3, 11), line(77, 5, login="nobody")]

    done = await office.post(*lines)

    assert [(number, outcome) for number, outcome, *_ in done] == [
        (1, CHARGED), (2, REFUSED), (3, REFUSED), (4, REFUSED), (5, REFUSED),
    ]  # fmt: skip
    assert [reason for *_, reason in done[1:]] == [
        "the call is of login 1001", "lines say different seconds of this call: 3 (10 s), 4 (11 s)",
        "lines say different seconds of this call: 3 (10 s), 4 (11 s)", "unknown_login",
    ]  # fmt: skip


async def test_an_end_that_an_engine_took_meanwhile_is_no_end_more(office, database_url):
    async with engine_on(database_url) as engine:
        await engine.charging.finish_call(
            FinishCall(CallKey("pbx1", uniqueid(1)), "1001", NUMBER, 42, "ANSWER", 16)
        )  # fmt: skip

    assert await office.post(line(1, 42), line(2, 5)) == [
        (1, KNOWN, Decimal("0.42000"), ""), (2, CHARGED, Decimal("0.05"), ""),
    ]  # fmt: skip
    assert (await office.post(line(1, 41)))[0][1:] == (REFUSED, None, "conflict: finished before with 42 seconds")


async def test_a_file_that_cannot_be_read_is_refused_by_name(office):
    with pytest.raises(InvalidRequest, match=r"file: .*none\.log: No such file"):
        await office.posting.post(office.directory / "none.log", PostOptions())
    with pytest.raises(InvalidRequest, match="time_zone: 'Mars' is no time zone"):
        await office.posting.post(office.directory / "none.log", PostOptions(time_zone="Mars"))


async def test_the_command_says_what_was_charged_and_ends_with_2_where_lines_are_left(office, database_url, tmp_path):
    (tmp_path / "messages").write_text(f"{line(1, 42)}\n{line(88, 5, login='nobody')}\n")
    cli = Commands(tmp_path, database_url=database_url)
    command = ("calls", "post", "messages", "--time-zone", "UTC")

    done, again = cli.run(*command), cli.run(*command, "--json")

    assert (done.returncode, again.returncode) == (2, 2)
    assert f"pbx1/{uniqueid(1)}/1" in done.stdout
    assert "charged 1 (0.42 EUR), charged before 0, left 1" in done.stdout
    assert f"line 2 pbx1/{uniqueid(88)}/1: refused, unknown_login" in done.stdout
    assert '"charged": 0, "charged_before": 1' in again.stdout
    audited = await office.database.fetch("SELECT subject FROM audit_log WHERE action = 'calls.post'")
    assert [row["subject"] for row in audited] == ["messages", "messages"]


async def test_a_line_that_what_was_seen_contradicts_is_charged_by_what_was_seen_and_says_so(office):
    await office.database.fetch("UPDATE open_calls SET answered_at = $1", NOW)
    unheard = line(1, 0, ended=NOW + timedelta(seconds=30)).replace("16ANSWER", "0CANCEL")

    preview = await office.post(unheard, dry_run=True)
    done = await office.post(unheard)

    assert preview == done == [(1, CHARGED, Decimal("0.30"), "by what was seen of it, not by 0 s as told")]
