"""The calls that this process allowed, so that their finish needs no look-up. The ledger is what is true."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from rating_engine.domain.outcomes import CallKey
from rating_engine.domain.reservation import OpenCall

CALLS_KEPT: Final = 100_000  # about 1 kB each; the rest are looked up


class RememberedCalls:
    """Open calls by key, the oldest out first."""

    def __init__(self) -> None:
        self._calls: OrderedDict[CallKey, OpenCall] = OrderedDict()

    def get(self, call_key: CallKey) -> OpenCall | None:
        """The call as this process allowed it, or None."""
        return self._calls.get(call_key)

    def pop(self, call_key: CallKey) -> OpenCall | None:
        """The same, and forget it."""
        return self._calls.pop(call_key, None)

    def add(self, call_key: CallKey, call: OpenCall) -> None:
        """Remember a call that was allowed."""
        self._calls[call_key] = call
        if len(self._calls) > CALLS_KEPT:
            self._calls.popitem(last=False)
