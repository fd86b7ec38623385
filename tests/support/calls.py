"""Calls as tests ask them: of a `Charging` directly, and of an engine over FastAGI."""

from __future__ import annotations

from rating_engine.domain.outcomes import CallKey, FinishCall, PrepareCall

NUMBER = "4912345"  # served by the deck that tests/support/world publishes


def key_of(name: str, attempt: int = 1) -> CallKey:
    """The key of a test's call."""
    return CallKey("test", name, attempt)


def prepare(
    name: str, destination: str = NUMBER, *, login: str = "1001", attempt: int = 1, callerid: str | None = None
) -> PrepareCall:
    """May the call `name` start?"""
    return PrepareCall(key_of(name, attempt), login, destination, callerid)


def finish(name: str, seconds: int, destination: str = NUMBER, *, login: str = "1001", attempt: int = 1) -> FinishCall:
    """The call `name` has ended after `seconds` of talk."""
    disposition, cause = ("ANSWER", 16) if seconds else ("NOANSWER", 19)
    return FinishCall(key_of(name, attempt), login, destination, seconds, disposition, cause)
