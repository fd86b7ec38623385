"""Where phones are registered: contacts of PJSIP in, the phones of one exchange out. No I/O, no clock.

Laws: what an event says counts at once and over a list that was asked for before it; what a telephone calls itself is
anybody's text, kept short and printable. Everything kept is bounded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from rating_engine.domain.phone_state import HeardPhone

CONTACTS_MAX: Final = 100_000  # an exchange serves some thousands
NAME_MAX: Final = 64  # characters of an address of record; a login has no more
URI_MAX: Final = 256
AGENT_MAX: Final = 128
REMOVED: Final = "removed"
AWAY: Final = frozenset({"unreachable", "unavailable"})  # registered, and does not answer: no call reaches it
EVENT: Final = "ContactStatus"


@dataclass(frozen=True, slots=True)
class _Contact:
    uri: str
    reachable: bool
    user_agent: str = ""
    expires_at: datetime | None = None


class ContactBook:
    """The contacts of one exchange, by address of record."""

    def __init__(self) -> None:
        self._contacts: dict[str, dict[str, _Contact]] = {}
        self._count = 0
        self._changed: dict[str, None] = {}  # in the order they came
        self._changed_since_asked: set[str] = set()

    def feed(self, event: Mapping[str, object]) -> None:
        """Hear an event; what is none of a contact says nothing."""
        if event.get("Event") != EVENT:
            return
        name, uri = _name(event.get("AOR")), _text(event.get("URI"), URI_MAX)
        word = str(event.get("ContactStatus", "")).lower()
        if not name or not uri:
            return
        known = self._contacts.get(name, {})
        before = known.get(uri)
        if word == REMOVED:
            self._drop(name, uri)
        elif before is None:
            self._put(name, _Contact(uri, word not in AWAY))
        else:
            self._put(name, _Contact(uri, word not in AWAY, before.user_agent, before.expires_at))
        if self._contacts.get(name, {}).get(uri) != before:
            self._changed[name] = None
            self._changed_since_asked.add(name)

    def ask(self) -> None:
        """A list is asked for now: what events say from now on is newer than it."""
        self._changed_since_asked.clear()

    def read(self, rows: Iterable[Mapping[str, object]]) -> None:
        """A whole list (ContactStatusDetail), asked for by `ask`."""
        fresh: dict[str, dict[str, _Contact]] = {}
        for row in rows:
            name, uri = _name(row.get("AOR")), _text(row.get("URI"), URI_MAX)
            if name and uri:
                word = str(row.get("Status", "")).lower()
                agent = _text(row.get("UserAgent"), AGENT_MAX)
                fresh.setdefault(name, {})[uri] = _Contact(uri, word not in AWAY, agent, _time(row.get("RegExpire")))
        for name in self._changed_since_asked:
            newer = self._contacts.get(name, {})
            told = fresh.pop(name, {})
            if newer:
                fresh[name] = {uri: _told(contact, told.get(uri)) for uri, contact in newer.items()}
        self._contacts, self._count = {}, 0
        for name, contacts in fresh.items():
            for contact in contacts.values():
                self._put(name, contact)

    def phones(self) -> list[HeardPhone]:
        """Every phone that has a contact; nothing of them has changed since."""
        self._changed.clear()
        return [self._phone(name) for name in self._contacts]

    def take_changes(self) -> list[HeardPhone]:
        """The phones that have changed since this or `phones` was asked last."""
        changed = [self._phone(name) for name in self._changed]
        self._changed.clear()
        return changed

    def _phone(self, name: str) -> HeardPhone:
        contacts = list(self._contacts.get(name, {}).values())
        reachable = [contact for contact in contacts if contact.reachable]
        if not contacts:
            return HeardPhone(name, online=False)
        last = max(reachable or contacts, key=lambda contact: contact.expires_at or datetime.max.replace(tzinfo=UTC))
        return HeardPhone(name, bool(reachable), last.uri, last.user_agent, len(reachable), last.expires_at)

    def _put(self, name: str, contact: _Contact) -> None:
        contacts = self._contacts.get(name, {})
        if contact.uri not in contacts:
            if self._count >= CONTACTS_MAX:
                return
            self._count += 1
        self._contacts[name] = {**contacts, contact.uri: contact}

    def _drop(self, name: str, uri: str) -> None:
        contacts = self._contacts.get(name, {})
        if contacts.pop(uri, None) is not None:
            self._count -= 1
        if not contacts:
            self._contacts.pop(name, None)


def _told(newer: _Contact, listed: _Contact | None) -> _Contact:
    """What an event said, with what only the list says."""
    return newer if listed is None else _Contact(newer.uri, newer.reachable, listed.user_agent, listed.expires_at)


def _name(value: object) -> str:
    name = str(value or "")
    return name if len(name) <= NAME_MAX and name.isascii() and name.isprintable() else ""


def _text(value: object, longest: int) -> str:
    """UTF-8 that came as latin-1 (agi/ami/connection), without what no terminal and no page should get."""
    text = str(value or "").encode("latin-1", "replace").decode("utf-8", "replace")
    return "".join(letter for letter in text if letter.isprintable())[:longest]


def _time(value: object) -> datetime | None:
    try:
        seconds = int(str(value))
        return datetime.fromtimestamp(seconds, UTC) if seconds > 0 else None
    except (ValueError, OverflowError, OSError):
        return None
