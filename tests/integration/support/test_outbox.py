"""Mail from the outbox by a real mail server: sent once, put off, given up, and forgotten."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from rating_engine.adapters.smtp import Smtp
from rating_engine.services.support.outbox import MAX_ATTEMPTS, Outbox, sweep_mail
from rating_engine.storage.postgres.pool import Database
from tests.support.mail_server import MailServer, mail_server
from tests.support.narayana import narayana_on
from tests.support.waiting import until_holds


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    await database.open()
    yield database
    await database.close()


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    async with mail_server() as server:
        yield server


async def queue(database: Database, *recipients: str) -> None:
    for recipient in recipients:
        await database.fetch("INSERT INTO mails (recipient, subject, body) VALUES ($1, 'Grüße', 'Tür\nzu')", recipient)


async def rows(database: Database) -> list[tuple[Any, ...]]:
    found = await database.fetch("SELECT recipient, state, attempts FROM mails ORDER BY mail_id")
    return [tuple(row) for row in found]


async def make_due(database: Database) -> None:
    await database.fetch("UPDATE mails SET due_at = now() - interval '1 second' WHERE state = 'queued'")


def outbox(database: Database, url: str) -> Outbox:
    return Outbox(database, Smtp(url, sender="billing@example.org", timeout_seconds=5))


async def test_what_is_queued_is_sent_once_and_as_it_was_written(database, server):
    await queue(database, "a@example.org")
    box = outbox(database, server.url)

    assert [await box.turn(), await box.turn()] == [1, 0]
    (mail,) = server.mails
    assert (mail["To"], mail["From"], mail["Subject"]) == ("a@example.org", "billing@example.org", "Grüße")
    assert mail.get_payload(decode=True).decode().splitlines() == ["Tür", "zu"]
    token = await database.fetchval("SELECT token FROM mails")
    assert mail["Message-ID"] == f"<{token}@example.org>"
    assert await rows(database) == [("a@example.org", "sent", 0)]


async def test_one_that_is_refused_holds_up_no_other(database, server):
    server.refused = {"gone@example.org": "550 no such user", "grey@example.org": "451 come back"}
    await queue(database, "gone@example.org", "grey@example.org", "a@example.org")
    box = outbox(database, server.url)

    assert await box.turn() == 1
    assert await rows(database) == [
        ("gone@example.org", "failed", 1), ("grey@example.org", "queued", 1), ("a@example.org", "sent", 0),
    ]  # fmt: skip
    assert "550 no such user" in await database.fetchval("SELECT error FROM mails WHERE state = 'failed'")
    await make_due(database)
    server.refused = {}
    assert await box.turn() == 1


async def test_who_is_refused_for_now_again_and_again_is_given_up(database, server):
    server.refused = {"grey@example.org": "451 come back"}
    await queue(database, "grey@example.org")
    for _ in range(MAX_ATTEMPTS + 1):
        await make_due(database)
        await outbox(database, server.url).turn()

    assert await rows(database) == [("grey@example.org", "failed", MAX_ATTEMPTS)]


async def test_a_server_that_is_away_or_does_not_let_us_in_costs_no_attempts(database, server):
    await queue(database, "a@example.org", "b@example.org")
    for url in ("smtp+plain://127.0.0.1:1", server.url.replace("+plain", ""), server.url.replace("//", "//u:secret@")):
        await make_due(database)
        assert await outbox(database, url).turn() == 0, url  # the second one has no STARTTLS: nothing goes in clear
        assert {row[1:] for row in await rows(database)} == {("queued", 0)}
        assert "secret" not in str(await database.fetch("SELECT error FROM mails"))
    assert server.mails == []


async def test_what_waits_too_long_fails_and_what_ended_long_ago_is_gone(database):
    await queue(database, "late@example.org", "new@example.org", "old@example.org")
    await database.fetch(
        "UPDATE mails SET created_at = now() - $1::interval WHERE recipient = 'late@example.org'", timedelta(days=8)
    )
    await database.fetch(
        "UPDATE mails SET state = 'sent', ended_at = now() - $1::interval WHERE recipient = 'old@example.org'",
        timedelta(days=31),
    )

    assert [await sweep_mail(database), await sweep_mail(database)] == [2, 0]
    assert await rows(database) == [("late@example.org", "failed", 0), ("new@example.org", "queued", 0)]


async def test_a_message_of_a_ticket_is_told_to_its_other_side_once_until_it_is_read(database_url, server):
    settings = {"smtp_url": server.url, "mail_from": "billing@example.org"}
    async with narayana_on(database_url, **settings) as narayana:
        for login in ("anna", "firm"):
            await narayana.ask("updateUser", login=login, notify_email=f"{login}@example.org", notify_ticket="1")
        await narayana.ask("updateUser", login="boss", notify_email="boss@example.org", notify_ticket="1")
        await narayana.ask("updateUser", login="otto", notify_email="otto@example.org")
        ticket = await narayana.ask("createTicket", login="anna", subject="Help", message="No ring")
        await narayana.ask("createTicket", login="anna", ticket=ticket, message="Hello?")
        await until_holds(lambda: len(server.mails) == 1)
        await narayana.ask("createTicket", login="firm", ticket=ticket, message="We look")
        await until_holds(lambda: len(server.mails) == 2)
        await narayana.ask("createTicket", login="other", destination="otto", message="He wants no mail")
        await narayana.ask("createTicket", login="anna", ticket=ticket, message="Thanks")
        await until_holds(lambda: len(server.mails) == 3)

    assert [(mail["To"], mail["Subject"]) for mail in server.mails] == [
        ("firm@example.org", f"Ticket {ticket}: Help"),
        ("anna@example.org", f"Ticket {ticket}: Help"),
        ("firm@example.org", f"Ticket {ticket}: Help"),
    ]
    assert "support wrote:" in server.mails[1].get_payload(decode=True).decode()
