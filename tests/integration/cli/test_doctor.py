"""`rating-engine doctor`: clean on a database that is right, and each law found when it is broken, alone."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from rating_engine.domain.outcomes import Allowed, CallKey, Declined, DeclineReason
from rating_engine.services.doctor import prove_laws
from rating_engine.storage.laws import LAWS
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.secrets import NEW_SECRET
from tests.support.calls import finish, prepare
from tests.support.commands import Commands
from tests.support.engines import engine_on
from tests.support.servers import free_port
from tests.support.world import add_account, publish_deck

DIALPLAN = Path(__file__).parents[3] / "config" / "asterisk" / "extensions.conf"

# What an operator's hand, a lost backup or a bug could do, by the law that it breaks.
BROKEN = {
    "reserved": (
        "UPDATE accounts SET reserved = reserved + 0.1",
        "UPDATE accounts SET reserved = reserved - 0.000001",
        "UPDATE accounts SET open_calls = open_calls + 1",
        "UPDATE reservations SET held = held - 0.01",
        "UPDATE reservations SET account_id = account_id + 1",
    ),
    "balance": (
        "UPDATE accounts SET balance = balance + 0.000001",
        "INSERT INTO ledger_entries (account_id, bucket, entry_id, kind, amount, balance_after)"
        " SELECT account_id, bucket, last_entry + 1, 'topup', 5, balance + 5 FROM accounts",
    ),
    "balance_after": (
        "INSERT INTO ledger_entries (account_id, bucket, entry_id, kind, amount, balance_after)"
        " SELECT account_id, bucket, last_entry + 1, 'topup', 0, balance + 5 FROM accounts",
    ),
    "charged_once": (
        "UPDATE cdrs SET cost = cost + 0.01",
        "DELETE FROM cdrs",
        "INSERT INTO ledger_entries (account_id, bucket, entry_id, kind, amount, balance_after, call_key)"
        " SELECT a.account_id, a.bucket, last_entry + 1, 'charge', 0, balance, call_key"
        " FROM accounts a JOIN cdrs USING (account_id)",
    ),
    "resellers_charged": (
        "INSERT INTO reseller_records (bucket, call_key, level, account_id, tariff_id, deck_id, prefix,"
        " rate_key, currency, granted, billed_seconds, cost, ended_at)"
        " SELECT bucket, call_key, 1, 7, 1, 1, '49', rate_key, 'EUR', 0, 0, 0,"
        " ended_at FROM call_records",
    ),
    "cards": (
        "WITH g AS (INSERT INTO card_groups (name, tariff_id) SELECT 'x', min(tariff_id) FROM tariffs"
        " RETURNING group_id),"
        " s AS (INSERT INTO card_sales (group_id, owner_id, cards, price, net, tax_percent, currency, sold_by,"
        "  ended_at)"
        "  SELECT group_id, 1, 1, 5, 5, 0, 'EUR', 'x', now() FROM g RETURNING sale_id, group_id),"
        " a AS (INSERT INTO accounts (bucket, currency, purpose) VALUES (0, 'EUR', 'card') RETURNING account_id)"
        " INSERT INTO calling_cards (group_id, number_hash, number_sealed, owner_id, bucket, account_id, sale_id,"
        "  sold_at, funded_at) SELECT group_id, sha256('x'), '', 1, 0, account_id, sale_id, now(), now() FROM s, a",
    ),
    "transfers": (
        "INSERT INTO transfers (bucket, account_id, to_bucket, to_account_id, amount, fee, exchange_rate, amount_to,"
        " state, ended_at) SELECT bucket, account_id, bucket, account_id, 1, 0, 1, 1, 'done', now() FROM accounts",
    ),
    "messages": (
        "INSERT INTO messages (bucket, kind, direction, state, party_id, sender, recipient, content, accounts, prices)"
        " SELECT bucket, 'sms', 'out', 'sent', 1, '1', '49301', '', ARRAY[account_id], ARRAY[0.1] FROM accounts",
    ),
    "messages_end": (
        "INSERT INTO messages (bucket, kind, direction, state, party_id, sender, recipient, content, lease_until)"
        " VALUES (0, 'sms', 'out', 'sending', 1, '1', '49301', '', now() - interval '1 hour')",
    ),
    "transfers_end": (
        "WITH taken AS (UPDATE accounts SET balance = balance - 0.01, last_entry = last_entry + 1"
        "   RETURNING bucket, account_id, last_entry, balance),"
        " sent AS (INSERT INTO transfers (bucket, account_id, to_bucket, to_account_id, amount, fee, exchange_rate,"
        "   amount_to, state, sent_at) SELECT bucket, account_id, bucket, account_id, 0.01, 0, 1, 0.01, 'sent',"
        "   now() - interval '1 hour' FROM taken RETURNING transfer_id)"
        " INSERT INTO ledger_entries (account_id, bucket, entry_id, kind, amount, balance_after, reference)"
        " SELECT account_id, bucket, last_entry, 'transfer', -0.01, balance, format('transfer:%s:out', transfer_id)"
        " FROM taken, sent",
    ),
    "payments": (
        "INSERT INTO payments (bucket, account_id, party_id, method, transaction, amount, currency, credited, state,"
        " ended_at) SELECT bucket, account_id, 1, 'manual', '1', 5, 'EUR', 5, 'confirmed', now() FROM accounts",
        "WITH paid AS (UPDATE accounts SET balance = balance + 5, last_entry = last_entry + 1"
        "   RETURNING bucket, account_id, last_entry, balance)"
        " INSERT INTO ledger_entries (account_id, bucket, entry_id, kind, amount, balance_after, reference)"
        " SELECT account_id, bucket, last_entry, 'topup', 5, balance, 'payment:manual:1' FROM paid",
    ),
    "credit_notes": (
        "WITH numbered AS (INSERT INTO paper_numbers VALUES (1, 'credit_note', 1))"
        " INSERT INTO credit_notes (bucket, account_id, party_id, issuer_id, number, amount, currency, credited, state,"
        " issued_at) SELECT bucket, account_id, 1, 1, 1, 5, 'EUR', 5, 'paid', now() FROM accounts",
    ),
    "paper_numbers": ("INSERT INTO paper_numbers VALUES (1, 'request', 2)",),
    "invoices": (
        "WITH numbered AS (INSERT INTO paper_numbers VALUES (1, 'monthly', 1))"
        " INSERT INTO invoices (bucket, account_id, party_id, issuer_id, kind, number, state, valid_to, period_start,"
        " period_end, from_entry, to_entry, currency, net, tax_percent, tax, opening, closing, due, issuer, billed)"
        " SELECT bucket, account_id, 1, 1, 'monthly', 1, 'open', now(), '2026-01-01', '2026-02-01', 0, last_entry,"
        " 'EUR', 0, 0, 0, 0, balance, 0, '{}', '{}' FROM accounts",
    ),
    "one_state": ("UPDATE reservations SET call_key = (SELECT call_key FROM cdrs)",),
    "never_negative": ("UPDATE accounts SET overdraft = 0",),
    "packages": (
        "UPDATE package_usage SET held = held - 1",
        "UPDATE package_usage SET used = used + 1, held = held - 1",
        "DELETE FROM package_usage",
    ),
    "route_load": ("UPDATE route_load SET open_calls = open_calls + 1", "DELETE FROM route_load"),
    "subscriber_load": ("INSERT INTO subscriber_load SELECT bucket, subscriber_id, 7 FROM subscribers",),
    "logins": ("UPDATE logins SET bucket = 3", "DELETE FROM logins"),
    "subscriptions": (
        "INSERT INTO ledger_entries (account_id, bucket, entry_id, kind, amount, balance_after, reference)"
        " SELECT account_id, bucket, last_entry + 1, 'fee', 0, balance, 'subscription:7:first' FROM accounts",
    ),
    "charged_whole": ("UPDATE cdrs SET uncharged = 0.01",),
    "rated": ("UPDATE cdrs SET source = 'unrated'",),
    "published": (
        "DELETE FROM rates",
        "UPDATE rate_decks SET rate_count = rate_count + 1",
    ),
}


@pytest.fixture
async def database(database_url: str, redis_url: str) -> AsyncIterator[asyncpg.Connection]:
    """After some traffic: account 1001 is 0.39 EUR below zero by its overdraft, with one call ended and one open.

    Both went by a route with a limit; the open one holds the free minutes that were added since.
    """
    async with engine_on(database_url, redis_url) as engine:
        await publish_deck(engine.office)
        await engine.office.fetch("INSERT INTO routes (name, position, max_calls) VALUES ('small', 1, 5)")
        await add_account(engine.office, balance="0.22", overdraft="1")
        assert isinstance(await engine.charging.prepare_call(prepare("ended")), Allowed)
        await engine.charging.finish_call(finish("ended", 61))
        await engine.office.fetch(
            "INSERT INTO packages (tariff_id, name, kind, seconds) SELECT tariff_id, 'free', 'free', 5 FROM tariffs"
        )
        engine.memory.forget_all()
        await engine.office.fetch("UPDATE subscribers SET max_seconds = 10")  # holds a part of what is available
        assert isinstance(await engine.charging.prepare_call(prepare("open")), Allowed)
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


@pytest.fixture
def cli(database: asyncpg.Connection, database_url: str, redis_url: str, tmp_path: Path) -> Commands:
    spool = tmp_path / "spool"
    return Commands(tmp_path, database_url=database_url, redis_url=redis_url, spool_dir=spool)


def findings(cli: Commands, *arguments: object, **settings: object) -> dict[str, list[str]]:
    """What the doctor found, by check; and that words, JSON and exit status agree."""
    done = cli.run("doctor", "--json", *arguments, **settings)
    said = json.loads(done.stdout)
    found = {check["name"]: [one["what"] for one in check["findings"]] for check in said["checks"] if check["findings"]}
    assert (done.returncode, said["clean"]) == ((1, False) if found else (0, True)), done
    assert all(one["mend"] for check in said["checks"] for one in check["findings"])
    return found


async def test_a_database_after_traffic_is_clean(cli):
    done = cli.run("doctor")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("clean: every check holds\n")
    assert "[/]" not in done.stdout  # markup that nobody rendered
    for law in LAWS:
        assert f"✓ ledger: {law.name}: {law.claim}" in done.stdout
    assert findings(cli) == {}


def test_every_law_has_a_breach_here():
    assert BROKEN.keys() == {law.name for law in LAWS}


@pytest.mark.breaks_books
@pytest.mark.parametrize(
    ("law", "statement"),
    [(law, statement) for law, statements in BROKEN.items() for statement in statements],
    ids=[f"{law}-{n}" for law, statements in BROKEN.items() for n, _ in enumerate(statements)],
)
async def test_the_doctor_finds_a_broken_law_and_accuses_no_other(database, database_url, law, statement):
    status = await database.execute(statement)
    assert not status.endswith(" 0")  # the statement did break something

    door = Database(database_url)
    await door.open()
    broken = [check.name async for check in prove_laws(door) if check.findings]
    await door.close()

    assert broken == [f"ledger: {law}"]


@pytest.mark.breaks_books
async def test_a_breach_is_shown_with_the_account_the_sums_and_the_mend(cli, database):
    await database.execute("UPDATE accounts SET balance = balance + 5")

    done = cli.run("doctor")

    assert done.returncode == 1
    account_id = await database.fetchval("SELECT account_id FROM accounts")
    assert f"account 0/{account_id}: balance 4.610000, but its ledger entries sum to -0.390000" in done.stdout
    assert "→ accounts.balance was changed without an entry" in done.stdout
    assert "1 found" in done.stdout


async def test_values_that_would_not_reach_the_dialplan_as_they_are_are_named(cli, database):
    await database.execute("INSERT INTO routes (name, dial_prefix, position) VALUES ('cheap', 'SIP/a&SIP/', 1)")
    found = findings(cli)

    assert found.keys() == {"dialplan values"}
    assert [what.split(" reaches")[0] for what in found["dialplan values"]] == [
        "dial_prefix of route cheap 'SIP/a&SIP/'"
    ]


async def test_two_exchanges_behind_one_address_are_named(cli, database_url):
    async with engine_on(database_url) as engine:
        for system in ("pbx1", "pbx2"):
            key = CallKey("10.0.0.1", f"{system}-1763779024.17")
            await engine.charging.finish_call(replace(finish("1", 0), call_key=key))

    found = findings(cli)

    assert found == {"exchanges": ["exchange 10.0.0.1: calls come from several systems (pbx1, pbx2)"]}


async def test_calls_declined_since_another_one_had_their_key_are_counted(cli, database_url):
    first = prepare("twice")
    async with engine_on(database_url) as engine:
        assert isinstance(await engine.charging.prepare_call(first), Allowed)
        for number in ("4912346", "4912347"):
            other = await engine.charging.prepare_call(prepare("twice", number))
            assert other == Declined(DeclineReason.CONFLICT)

    (found,) = findings(cli)["exchanges"]
    assert found.startswith(f"exchange {first.call_key.exchange}: 2 calls were declined since ")


@pytest.mark.parametrize("name", ["ECUADOR - CUENCA (PACIFICTEL)", "Cote d'Ivoire", 'Some, where; "else" & more'])
async def test_a_direction_may_be_called_as_carriers_call_it(cli, database, name):
    await database.execute("UPDATE directions SET name = $1", name)

    assert findings(cli) == {}


async def test_a_database_without_the_secret_of_redis_is_named_with_its_mend(cli, database):
    await database.execute("DELETE FROM engine_secrets")

    assert findings(cli).keys() == {"redis"}

    await database.execute(NEW_SECRET)
    assert findings(cli) == {}


async def test_a_schema_of_another_version_is_named(cli, database):
    await database.execute("UPDATE schema_version SET version = version + 1")

    assert findings(cli).keys() == {"schema"}


async def test_a_redis_that_is_not_there_is_named_and_the_rest_is_checked(cli):
    found = findings(cli, redis_url=f"redis://127.0.0.1:{free_port()}/0")

    assert found.keys() == {"redis"}


async def test_the_shipped_dialplan_is_clean(cli):
    assert findings(cli, "--dialplan", DIALPLAN) == {}


@pytest.mark.parametrize(
    ("taken", "left", "said"),
    [
        ("RATING_MAX_MS=0", "RATING_MAX_MS=", "RATING_MAX_MS is not 0 before callPrepare"),
        ("L(${RATING_MAX_MS}", "g(${RATING_MAX_MS}", "Dial has no limit from the engine"),
        ("/callFinish", "/callFinnish", "callFinish is never told"),
        ("hangup_handler_push", "hangup_handler", "callFinish is not told from a hangup handler"),
        ("/callPrepare", "/callPrpare", "callPrepare is never asked"),
    ],
)
async def test_a_dialplan_that_could_let_a_call_run_on_is_named(cli, taken, left, said):
    shipped = DIALPLAN.read_text()
    assert taken in shipped
    pasted = cli.directory / "extensions.conf"
    pasted.write_text(shipped.replace(taken, left))

    found = findings(cli, "--dialplan", pasted)

    assert found.keys() == {"dialplan"}
    assert [what.startswith(said) for what in found["dialplan"]] == [True]


async def test_a_dialplan_is_read_with_what_it_includes(cli):
    directory = cli.directory / "asterisk"
    (directory / "custom").mkdir(parents=True)
    (directory / "asterisk.conf").touch()
    (directory / "rating.conf").write_text(DIALPLAN.read_text())
    main = directory / "custom" / "extensions.conf"
    main.write_text('#include "rating.conf" ; ours\n#tryinclude nowhere.conf\n[phones]\ninclude => rating-outbound\n')

    assert findings(cli, "--dialplan", main) == {}

    main.write_text("#include nowhere.conf\n" + main.read_text())
    found = findings(cli, "--dialplan", main)
    assert [what.partition(": ")[0] for what in found.pop("dialplan")] == ["#include nowhere.conf"]
    assert found == {}


async def test_trunks_that_keep_callers_waiting_are_named(cli, database):
    directory = cli.directory / "asterisk"
    directory.mkdir()
    (directory / "extensions.conf").write_text(DIALPLAN.read_text())
    (directory / "pjsip.conf").write_text(
        "[small]\ntype=endpoint\naors=small\nrtp_timeout=60\nallow_transfer=no\n[small]\ntype=aor\n"
    )
    found = findings(cli, "--dialplan", directory / "extensions.conf")

    assert found.keys() == {"trunks"}
    (said,) = found["trunks"]
    assert said.startswith("the trunk small has no qualify_frequency: ")
    assert "each call waits 32 s" in said


async def test_a_dialplan_file_that_is_not_there_is_an_error_in_one_line(cli):
    assert "--dialplan nowhere.conf: No such file" in cli.run("doctor", "--dialplan", "nowhere.conf").stderr
