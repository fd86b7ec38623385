"""Lines whose calls are refused and called back instead: first the number that is trusted, then whom they dialled.

Laws: the money of both legs is looked for before anything is ordered; the same call asked for again is the same
callback.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Final

from rating_engine.domain.callback import NewCallback
from rating_engine.domain.outcomes import Declined, DeclineReason, PrepareCall
from rating_engine.domain.principal import ENGINE
from rating_engine.services.watch.callbacks import Callbacks, CallQuestions
from rating_engine.storage.postgres.pool import Database

KEY_DIGITS: Final = 40

_NUMBER: Final = re.compile(r"\+?[0-9]{1,32}")


class ForcedCallbacks:
    """Orders them for every call that asks. `asking`: is asked for when it is needed."""

    def __init__(self, office: Database, asking: Callable[[], CallQuestions]) -> None:
        self._callbacks = Callbacks(office, ENGINE)
        self._asking = asking

    async def begin(self, call: PrepareCall, first: str, destination: str) -> Declined:
        """Have `first` called and connected with what `call` dialled, which is `destination`; what the call is told.

        Errors: Unavailable (then nothing is ordered).
        """
        key = hashlib.sha256(f"{call.call_key.exchange}/{call.call_key.uniqueid}".encode()).hexdigest()[:KEY_DIGITS]
        new = NewCallback(
            login=call.login,
            first=first,
            second=call.destination if _NUMBER.fullmatch(call.destination) else f"+{destination}",
            exchange=call.call_key.exchange,
            key=f"forced-callback:{key}",
        )
        ordered = await self._callbacks.order(new, self._asking())
        if isinstance(ordered, int):
            return Declined(DeclineReason.CALLED_BACK, f"{first} is called, and then {new.second}")
        return Declined(ordered.reason or DeclineReason.UNAVAILABLE, f"cannot be called back: {ordered.detail}")
