"""A callback: two numbers that the exchange calls and connects, each a rated call of one line.

Law: what reaches a dialplan of it is digits; a login that could be read as anything else there is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.outcomes import CallKey, DeclineReason

PITCH_MAX: Final = 6  # of Narayana's `epitch`: the six steps that Asterisk's PITCH_SHIFT knows by name

_FORMED: Final = re.compile(r"[\s()./-]+")
_NUMBER: Final = re.compile(r"\+?[0-9]{1,32}")
_LOGIN: Final = re.compile(r"[0-9A-Za-z_.@+:-]{1,64}")


@dataclass(frozen=True, slots=True)
class NewCallback:
    """`login` pays for both legs; `first` rings first, and `second` when it has answered.

    `sound`: a file without its extension that `first` hears, and then there is no `second`. `asks`: there is none
    either: `first` is asked for it when it has answered. `callerid` None: the line's. `pitch`: 1 (lowest) to 6, None:
    as it is. `exchange`: the one that is wanted; it counts where it is followed. `key`: a name by which the same asked
    again is the same callback; None: each is another.
    """

    login: str
    first: str
    second: str
    callerid: str | None = None
    pitch: int | None = None
    exchange: str | None = None
    key: str | None = None
    sound: str = ""
    asks: bool = False

    def __post_init__(self) -> None:
        if not _LOGIN.fullmatch(self.login):
            raise InvalidRequest("login", "has characters that a dialplan may take for its own")
        for field in ("first", "second", "callerid"):
            value = getattr(self, field)
            if value is None:
                continue
            digits = _FORMED.sub("", value)
            may_be_empty = field == "callerid" or (field == "second" and (self.sound or self.asks))
            if not _NUMBER.fullmatch(digits) and not (may_be_empty and not digits):
                raise InvalidRequest(field, "is no number of 1 to 32 digits")
            object.__setattr__(self, field, digits)
        if self.pitch is not None and not 1 <= self.pitch <= PITCH_MAX:
            raise InvalidRequest("pitch", f"is from 1 to {PITCH_MAX}")

    @property
    def numbers(self) -> tuple[str, ...]:
        """Whom it calls, as far as that is known."""
        return (self.first, self.second) if self.second and not self.sound else (self.first,)


class CallbackOutcome(StrEnum):
    """What became of it. Append only: it is stored."""

    STARTED = "started"  # both legs are held, and the exchange has begun to call
    DECLINED = "declined"  # a leg may not start
    REFUSED = "refused"  # the exchange does not call, or none is there
    NO_ANSWER = "no_answer"  # the exchange did not answer in time: not known whether it calls
    EXPIRED = "expired"  # nobody took it in time: it is never carried out


@dataclass(frozen=True, slots=True)
class Callback:
    """`reason`: why a leg may not start. `detail`: words for people."""

    outcome: CallbackOutcome
    reason: DeclineReason | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class CallbackOrder:
    """A callback that the engine which follows its exchange shall begin. `uniqueid`: of its channels, without the last
    digit: 1 of the first number's half, 2 of the second's."""

    callback_id: int
    exchange: str
    uniqueid: str
    login: str
    first: str
    second: str
    callerid: str | None
    pitch: int | None
    sound: str = ""

    @property
    def numbers(self) -> tuple[str, ...]:
        """Whom it calls, in the order in which they ring; without a second one the first is asked whom to call."""
        return (self.first, self.second) if self.second and not self.sound else (self.first,)

    @property
    def legs(self) -> tuple[tuple[CallKey, str], ...]:
        """The keys that the dialplan's questions will have, with the numbers: the second one's half is asked first."""
        keys = (CallKey(self.exchange, f"{self.uniqueid}{half}") for half in (1, 2))
        return tuple(zip(keys, self.numbers, strict=False))[::-1]
