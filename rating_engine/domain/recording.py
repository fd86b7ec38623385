"""Recordings of calls: what their files are called. The exchange writes them, the engine knows whose they are.

Law: a name is letters, digits, dots, dashes and underscores, so it is a file of the directory of recordings and of no
other.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from rating_engine.domain.outcomes import CallKey

MAX_NAME: Final = 200  # characters; file systems take 255 bytes

NAME: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}")
MAX_LISTED: Final = 1_000  # of a month; each is looked for on the disk

_OTHERS: Final = re.compile(r"[^A-Za-z0-9.-]")


class RecordingKind(StrEnum):
    """A conversation, what a caller had to say, or what he faxed."""

    CALL = "call"
    MESSAGE = "message"
    FAX = "fax"

    @property
    def ending(self) -> str:
        """Of its file."""
        return ".tif" if self is RecordingKind.FAX else ".wav"


@dataclass(frozen=True, slots=True)
class Recording:
    """One whose file is there. `seconds`: how long it is; of a fax 0. `begun_at`: when its call came to it."""

    name: str
    kind: RecordingKind
    caller: str
    called: str
    begun_at: datetime
    seconds: int


@dataclass(frozen=True, slots=True)
class NewRecording:
    """One that an exchange is told to keep. `mail_to`: who is sent a link to it; '': nobody."""

    name: str
    kind: RecordingKind
    party_id: int
    caller: str
    called: str
    mail_to: str = ""


def recording_name(call: CallKey, rule_id: int) -> str:
    """What a rule's recording of a call is called, without the ending of its file."""
    exchange, uniqueid = (_OTHERS.sub("-", text) for text in (call.exchange, call.uniqueid))
    return f"{exchange}_{uniqueid}"[: MAX_NAME - 20].lstrip(".") + f"_{rule_id}"
