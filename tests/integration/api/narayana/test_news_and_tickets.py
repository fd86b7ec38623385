"""News and tickets as Narayana's methods show and change them: who sees which, and whose mark is on what."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from rating_engine.domain.party import Level, NewParty, PartyKind
from tests.support.narayana import MD5, WORD, Narayana, narayana_on


@pytest.fixture
async def narayana(database_url: str) -> AsyncIterator[Narayana]:
    async with narayana_on(database_url) as narayana:
        yield narayana


async def seen(narayana: Narayana, login: str | None, **given: str) -> set[str]:
    """The ids of the news that a user reads; None: who is nobody."""
    who = {"key": "client"} if login is None else {"login": login}
    return {item["id"] for item in await narayana.ask("getNews", **who, **given)}


async def test_news_are_read_by_those_whom_they_are_for(narayana):
    await narayana.ask("updateUser", login="anna", language="english")
    for name, more in {
        "public": {}, "users": {"access": "1"}, "resellers": {"access": "22"}, "english": {"language": "en"},
        "german": {"language": "german"}, "ottos": {"user": "otto"}, "shout": {"isbroadcast": "true", "broadcast": "!"},
        "managers": {"access": "33", "isbroadcast": "1"},
    }.items():  # fmt: skip
        await narayana.ask("addNews", login="boss", id=name, header=name, message="text", **more)

    assert await seen(narayana, None) == {"public", "shout"}
    assert await seen(narayana, "anna") == {"public", "shout", "users", "english"}
    assert await seen(narayana, "otto") == {"public", "shout", "users", "ottos"}
    assert await seen(narayana, "firm") == {"public", "shout", "users", "resellers"}
    assert await seen(narayana, "anna", broadcast="true") == {"shout"}
    assert await seen(narayana, "boss", broadcast="true") == {"shout", "managers"}
    assert len(await seen(narayana, "boss", all="true")) == 8
    assert await seen(narayana, "boss") == {"public", "shout", "users", "resellers", "managers"}
    assert await narayana.code("getNews", login="firm", all="true") == "E_INSUFFICIENT_ACCESS"
    assert await seen(narayana, "otto", id="ottos") == {"ottos"}
    assert await narayana.code("getNews", login="anna", id="ottos") == "E_NOT_EXIST"
    assert [item["id"] for item in (await narayana.ask("getInfo", login="anna"))["broadcasts"]] == ["shout"]


async def test_of_news_what_is_given_is_changed_and_nothing_else(narayana):
    await narayana.ask(
        "addNews", login="boss", id="n", header="h", message="m", isbroadcast="1", access="11", typ="error"
    )
    await narayana.ask("updateNews", login="boss", id="n", message="other")
    (news,) = await narayana.ask("getNews", login="anna")

    assert (news["message"], news["is_broadcast"], news["access"], news["typ"]) == ("other", 1, 11, "error")
    assert (news["author"], news["lastupdated_by"], news["header"]) == ("boss", "boss", "h")
    await narayana.ask("updateNews", login="boss", id="n", user="otto")
    assert await seen(narayana, "anna") == set()
    await narayana.ask("updateNews", login="boss", id="n", user="", access="0")
    assert await seen(narayana, None) == {"n"}
    for method, given, code in (
        ("addNews", {"id": "n", "header": "h", "message": "m"}, "E_DATA_ABORT"),
        ("addNews", {"id": "x", "header": "h"}, "E_MISSING_ARGUMENT"),
        ("addNews", {"id": "x", "header": "h\ni", "message": "m"}, "E_DATA_ABORT"),
        ("addNews", {"id": "x", "header": "h", "message": "m", "user": "nobody"}, "E_NOT_EXIST"),
        ("addNews", {"id": "x", "header": "h", "message": "m", "access": "45"}, "E_DATA_ABORT"),
        ("addNews", {"id": "x", "header": "h", "message": "m", "language": "klingon"}, "E_DATA_ABORT"),
        ("addNews", {"id": "x", "header": "h", "message": "m", "typ": "red"}, "E_INVALID_ARGUMENT"),
        ("updateNews", {"id": "x", "message": "m"}, "E_NOT_EXIST"),
        ("updateNews", {"id": "n"}, "E_DATA_ABORT"),
        ("deleteNews", {"id": "x"}, "E_NOT_EXIST"),
    ):
        assert await narayana.code(method, login="boss", **given) == code, given
    path = f"/billing/api/2.2/{narayana.keys['server']}/addNews"
    long = {"login": "boss", "id": "x", "header": "h", "message": "m" * 20_001}
    assert (await narayana.http.post(path, data=long)).json()["response"] == "E_DATA_ABORT"
    for method in ("addNews", "updateNews", "deleteNews"):
        assert await narayana.code(method, login="firm", id="n", header="h", message="m") == "E_INSUFFICIENT_ACCESS"
    await narayana.ask("deleteNews", login="boss", id="n")
    assert await seen(narayana, "boss", all="true") == set()


async def unread(narayana: Narayana, *logins: str) -> list[str]:
    """How many tickets each has not read, as both methods that say so have it."""
    counts = [await narayana.ask("getUnreadTickets", login=login) for login in logins]
    assert counts == [await narayana.ask("getValue", login=login, property="unread_tickets") for login in logins]
    return counts


async def messages(narayana: Narayana, login: str, ticket: str) -> list[dict[str, Any]]:
    return list(await narayana.ask("getTicket", login=login, ticket=ticket))


async def test_a_question_goes_to_the_desk_above_and_comes_back_answered(narayana):
    ask = narayana.ask
    ticket = await ask("createTicket", login="anna", destination="support", subject="Help", message="No ring")
    assert await unread(narayana, "anna", "firm", "boss", "otto", "other") == ["0", "1", "0", "0", "0"]
    (listed,) = await ask("getTickets", login="firm")
    assert (listed["status"], listed["unread"], listed["sender"], listed["recipient"], listed["subject"]) == (
        "1", "true", "anna", "support", "Help",
    )  # fmt: skip
    (message,) = await messages(narayana, "firm", ticket)
    assert (message["type"], message["username"], message["message"], message["reply"]) == ("in", "anna", "No ring", "")
    assert await unread(narayana, "firm") == ["0"]

    assert await ask("createTicket", login="firm", ticket=ticket, message="Try again") == ticket
    assert await unread(narayana, "anna", "firm") == ["1", "0"]
    _, answer = await messages(narayana, "anna", ticket)
    assert (answer["type"], answer["sender"], answer["username"], answer["recipient"]) == (
        "in",
        "support",
        "firm",
        "anna",
    )
    assert answer["reply"] == message["msgid"]
    assert await unread(narayana, "anna", "firm") == ["0", "0"]

    for action in ("mark_unread", "markunread"):
        await ask("updateTicket", login="anna", ticket=ticket, action=action)
        assert await unread(narayana, "anna", "firm") == ["1", "0"]
    await ask("updateTicket", login="firm", ticket=ticket, action="close")
    assert await unread(narayana, "anna") == ["0"]
    assert [each["status"] for each in await ask("getTickets", login="anna")] == ["-1"]
    await ask("createTicket", login="anna", ticket=ticket, message="Still not")  # which opens it
    assert await unread(narayana, "firm") == ["1"]


async def test_who_is_above_a_desk_reads_along_and_leaves_its_marks(narayana):
    ask = narayana.ask
    ticket = await ask("createTicket", login="anna", message="No ring")
    assert await ask("getTickets", login="boss") == []
    assert [each["ticket"] for each in await ask("getTickets", login="boss", all="true")] == [ticket]
    await messages(narayana, "boss", ticket)
    assert await unread(narayana, "firm", "anna") == ["1", "0"]
    await ask("createTicket", login="boss", ticket=ticket, message="We look", comment="firm is slow")
    shown = await messages(narayana, "anna", ticket)
    assert [each["sender"] for each in shown] == ["anna", "support"]
    assert "comment" not in shown[1]
    assert (await messages(narayana, "boss", ticket))[1]["comment"] == "firm is slow"


async def test_a_desk_writes_to_its_users_and_gives_tickets_to_its_people(narayana):
    ask, people = narayana.ask, narayana.operator.parties
    for login in ("books", "clerk"):
        await people.create(NewParty(login, PartyKind.ACCOUNTANT, Level.RESELLER, owner="firm"))
    await people.create(NewParty("deputy", PartyKind.ADMIN))
    ticket = await ask("createTicket", login="firm", destination="anna", subject="Bill", message="Please pay")
    assert await unread(narayana, "anna", "firm") == ["1", "0"]
    await ask("createTicket", login="anna", ticket=ticket, message="Done")
    assert await unread(narayana, "firm", "books", "clerk") == ["1", "1", "1"]
    await ask("updateTicket", login="firm", ticket=ticket, action="assign", assign_to="clerk")
    assert await unread(narayana, "firm", "books", "clerk") == ["0", "0", "1"]
    await messages(narayana, "books", ticket)
    assert await unread(narayana, "clerk") == ["1"]
    await messages(narayana, "clerk", ticket)
    assert await unread(narayana, "clerk") == ["0"]

    for login, given, code in (
        ("firm", {"assign_to": "anna"}, "E_DATA_ABORT"),
        ("firm", {"assign_to": "otto"}, "E_DATA_ABORT"),
        ("firm", {"assign_to": "nobody"}, "E_NOT_EXIST"),
        ("firm", {}, "E_MISSING_ARGUMENT"),
        ("anna", {"assign_to": "anna"}, "E_INSUFFICIENT_ACCESS"),
    ):
        assert await narayana.code("updateTicket", login=login, ticket=ticket, action="assign", **given) == code, given
    to_boss = await ask("createTicket", login="firm", destination="boss", message="Need numbers")
    assert await unread(narayana, "boss", "deputy") == ["1", "1"]
    assert (await messages(narayana, "books", to_boss))[0]["type"] == "out"  # it manages for firm, which asks


REFUSED = [
    ("anna", "createTicket", {"message": ""}, "E_MISSING_ARGUMENT"),
    ("anna", "createTicket", {"message": " "}, "E_DATA_ABORT"),
    ("anna", "createTicket", {"message": "m" * 10_001}, "E_DATA_ABORT"),
    ("anna", "createTicket", {"message": "m", "subject": "a\nBcc: x"}, "E_DATA_ABORT"),
    ("anna", "createTicket", {"message": "m", "destination": "otto"}, "E_DOES_NOT_BELONG_TO_YOU"),
    ("anna", "createTicket", {"message": "m", "destination": "boss"}, "E_DOES_NOT_BELONG_TO_YOU"),
    ("anna", "createTicket", {"message": "m", "destination": "nobody"}, "E_NOT_EXIST"),
    ("anna", "createTicket", {"message": "m", "comment": "c"}, "E_INSUFFICIENT_ACCESS"),
    ("firm", "createTicket", {"message": "m", "comment": "c"}, "E_INSUFFICIENT_ACCESS"),
    ("anna", "createTicket", {"message": "m", "ticket": "999999"}, "E_NOT_EXIST"),
    ("anna", "createTicket", {"message": "m", "ticket": "1.5"}, "E_INVALID_ARGUMENT"),
    ("anna", "createTicket", {"message": "m", "ticket": "9" * 25}, "E_DATA_ABORT"),
    ("boss", "createTicket", {"message": "m"}, "E_DATA_ABORT"),  # there is no desk above
    ("anna", "getTickets", {"limit": "0"}, "E_DATA_ABORT"),
    ("anna", "getTicket", {}, "E_MISSING_ARGUMENT"),
    ("anna", "updateTicket", {"ticket": "1", "action": "burn"}, "E_INVALID_ARGUMENT"),
    ("firm", "deleteTicket", {"ticket": "1"}, "E_INSUFFICIENT_ACCESS"),
    ("firm", "deleteMessage", {"id": "1"}, "E_INSUFFICIENT_ACCESS"),
    ("boss", "deleteTicket", {}, "E_MISSING_ARGUMENT"),
    ("boss", "deleteTicket", {"ticket": "999999"}, "E_NOT_EXIST"),
    ("boss", "deleteMessage", {"id": "999999"}, "E_NOT_EXIST"),
]


async def test_what_makes_no_sense_or_is_not_theirs_is_refused_and_leaves_no_ticket(narayana):
    for login, method, given, code in REFUSED:
        assert await narayana.code(method, login=login, **given) == code, (login, method, given)
    assert await narayana.ask("getTickets", login="boss", all="true") == []


async def test_administrators_delete_messages_tickets_and_all_tickets_of_a_user(narayana):
    ask = narayana.ask
    first, second, third = [await ask("createTicket", login="anna", message=f"{number}") for number in range(3)]
    await ask("createTicket", login="firm", ticket=first, message="x")
    one, two = [each["msgid"] for each in await messages(narayana, "anna", first)]
    await ask("deleteMessage", login="boss", id=one)
    assert [each["msgid"] for each in await messages(narayana, "anna", first)] == [two]
    await ask("deleteMessage", login="boss", id=two)
    assert await narayana.code("getTicket", login="anna", ticket=first) == "E_NOT_EXIST"
    await ask("deleteTicket", login="boss", ticket=second)
    assert [each["ticket"] for each in await ask("getTickets", login="anna")] == [third]
    await ask("deleteTicket", login="boss", username="anna")
    assert await ask("getTickets", login="anna") == []


async def test_a_password_is_asked_for_tickets_of_who_comes_by_a_public_key(narayana):
    assert await narayana.code("getTickets", key="client", login="anna") == "E_AUTH_FAILED"
    assert await narayana.ask("getTickets", key="client", login="anna", password=MD5) == []
    assert WORD not in str(await narayana.ask("getInfo", login="anna"))


async def test_where_mail_goes_is_for_oneself_to_say_and_is_an_address(narayana):
    for login in ("anna", "firm"):
        await narayana.ask("updateUser", login=login, notify_email="a+b@example.org", notify_ticket="1")
        info = await narayana.ask("getInfo", login=login)
        assert (info["notify_email"], info["notify_ticket"]) == ("a+b@example.org", 1)
    for address in ("a@b@c", "a\r\n@b", "<a@b>", "a" * 65 + "@b.c", "a,b@c.d"):
        assert await narayana.code("updateUser", login="anna", notify_email=address) == "E_DATA_ABORT", address
    assert await narayana.code("updateUser", login="anna", notify_ticket="2") == "E_DATA_ABORT"
    await narayana.ask("updateUser", login="anna", notify_email="")
    assert (await narayana.ask("getInfo", login="anna"))["notify_email"] == ""
