"""What an exchange says of contacts, and what is made of it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from agi.ami import contacts
from agi.ami.contacts import ContactBook
from rating_engine.domain.phone_state import HeardPhone, PhoneState

HERE = "sip:40000@192.0.2.7:5060;transport=TCP"
THERE = "sip:40000@192.0.2.8:5060"
END = 1_796_033_821
ENDS_AT = datetime.fromtimestamp(END, UTC)


def event(status: str, uri: str = HERE, aor: str = "40000") -> dict[str, str]:
    return {"Event": "ContactStatus", "AOR": aor, "URI": uri, "ContactStatus": status, "EndpointName": aor}


def row(uri: str = HERE, aor: str = "40000", status: str = "Reachable", expire: str = str(END)) -> dict[str, str]:
    return {"Event": "ContactStatusDetail", "AOR": aor, "URI": uri, "Status": status, "RegExpire": expire,
            "UserAgent": "Snom/1"}  # fmt: skip


@pytest.mark.parametrize(
    ("words", "online"),
    [
        (["Created"], True),
        (["NonQualified"], True),
        (["NonQualified", "Reachable"], True),
        (["Reachable", "Unreachable"], False),
        (["Reachable", "Unreachable", "Reachable"], True),
        (["Reachable", "Removed"], False),
        (["Removed"], None),
    ],
)
def test_a_phone_is_online_while_a_contact_of_it_answers(words: list[str], online: bool | None):
    book = ContactBook()
    for word in words:
        book.feed(event(word))
    assert [phone.online for phone in book.take_changes()] == ([] if online is None else [online])
    assert book.take_changes() == []


def test_one_of_two_telephones_that_leaves_leaves_the_other():
    book = ContactBook()
    book.feed(event("Created"))
    book.feed(event("Created", THERE))
    book.feed(event("Removed"))
    assert book.take_changes() == [HeardPhone("40000", online=True, contact=THERE, contacts=1)]


def test_a_list_says_what_events_do_not_and_what_it_lacks_is_gone():
    book = ContactBook()
    book.feed(event("Created"))
    book.feed(event("Created", aor="40001"))
    book.ask()
    book.read([row()])
    assert book.phones() == [HeardPhone("40000", True, HERE, "Snom/1", 1, ENDS_AT)]
    assert book.take_changes() == []
    book.feed(event("Reachable"))  # as it was: each qualification says so again
    assert book.take_changes() == []
    book.feed(event("Unreachable"))
    assert book.take_changes() == [HeardPhone("40000", False, HERE, "Snom/1", 0, ENDS_AT)]


def test_what_happens_while_a_list_is_read_is_newer_than_the_list():
    book = ContactBook()
    book.ask()
    book.feed(event("Created", THERE))
    book.feed(event("Created", aor="40001"))
    book.feed(event("Removed", aor="40001"))
    book.read([row(), row(aor="40001")])
    assert book.phones() == [HeardPhone("40000", True, THERE, "", 1, None)]


@pytest.mark.parametrize(
    "strange",
    [
        {},
        {"Event": "ContactStatus"},
        event("Created", uri=""),
        event("Created", aor=""),
        event("Created", aor="x" * 65),
        event("Created", aor="a\x1bb"),
        {**event("Created"), "Event": "PeerStatus"},
    ],
)
def test_what_is_no_contact_says_nothing(strange: dict[str, str]):
    book = ContactBook()
    book.feed(strange)
    book.ask()
    book.read([{**strange, "Event": "ContactStatusDetail"}] if strange.get("Event") == "ContactStatus" else [])
    assert book.phones() == []


def test_what_a_telephone_calls_itself_is_short_and_printable():
    book = ContactBook()
    book.ask()
    book.read([{**row(), "UserAgent": "é\x1b[31m".encode().decode("latin-1") + "x" * 500, "RegExpire": "never"}])
    (phone,) = book.phones()
    assert (phone.user_agent, phone.expires_at) == (("é[31m" + "x" * 500)[:128], None)


def test_no_more_contacts_are_kept_than_an_exchange_can_have(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(contacts, "CONTACTS_MAX", 2)
    book = ContactBook()
    for number in range(5):
        book.feed(event("Created", aor=f"4000{number}"))
    assert len(book.phones()) == 2
    book.feed(event("Removed", aor="40000"))
    book.feed(event("Created", aor="40004"))
    assert [phone.login for phone in book.phones()] == ["40001", "40004"]


@pytest.mark.parametrize(
    ("contact", "address"),
    [
        ("sip:40000@192.0.2.7:5060;transport=TCP", "192.0.2.7:5060"),
        ("sips:40000@[2001:db8::1]:5061", "[2001:db8::1]:5061"),
        ("sip:192.0.2.7", "192.0.2.7"),
        ("", ""),
    ],
)
def test_the_address_of_a_contact(contact: str, address: str):
    assert PhoneState(True, contact, "", 1, ENDS_AT, ENDS_AT).address == address
