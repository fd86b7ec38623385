"""Recordings of calls: what their files are called. The exchange writes them, the engine knows whose they are.

Law: a name is letters, digits, dots, dashes and underscores, so it is a file of the directory of recordings and of no
other.
"""

from __future__ import annotations

import re
from typing import Final

from rating_engine.domain.outcomes import CallKey

MAX_NAME: Final = 200  # characters; file systems take 255 bytes

_OTHERS: Final = re.compile(r"[^A-Za-z0-9.-]")


def recording_name(call: CallKey, rule_id: int) -> str:
    """What a rule's recording of a call is called, without the ending of its file."""
    exchange, uniqueid = (_OTHERS.sub("-", text) for text in (call.exchange, call.uniqueid))
    return f"{exchange}_{uniqueid}"[: MAX_NAME - 20].lstrip(".") + f"_{rule_id}"
