"""The calls that this process allowed, so that their finish needs no look-up. The ledger is what is true.

Law: what is remembered of a call never changes while its key is known: its details and its rate were frozen with its
reservation, and a key that was finished is never reserved again. So an old memory is a slow one, not a wrong one.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, Protocol

from rating_engine.domain.outcomes import CallKey, Claim
from rating_engine.domain.reservation import OpenCall

CALLS_KEPT: Final = 100_000  # about 1 kB each; the rest are looked up


class SharedCalls(Protocol):
    """What the worker processes of one machine remember together; may forget at any time."""

    def put(self, call_key: CallKey, call: OpenCall) -> None:
        """A call that this process allowed."""
        ...

    def get(self, call_key: CallKey) -> OpenCall | None:
        """The call as one of the processes allowed it, or None."""
        ...


class RememberedCalls:
    """Open calls by key, the oldest out first."""

    def __init__(self, shared: SharedCalls | None = None) -> None:
        """`shared`: where other workers leave theirs, for a finish that reaches another process than its prepare."""
        self._calls: OrderedDict[CallKey, tuple[OpenCall, Claim]] = OrderedDict()
        self._shared = shared

    def get(self, call_key: CallKey) -> OpenCall | None:
        """The call as it was allowed by this process, or by one it shares with; or None."""
        known = self._calls.get(call_key)
        if known is not None:
            return known[0]
        return None if self._shared is None else self._shared.get(call_key)

    def add(self, call_key: CallKey, call: OpenCall, claim: Claim) -> None:
        """Remember a call that was allowed to the request of `claim`."""
        self._calls[call_key] = call, claim
        if len(self._calls) > CALLS_KEPT:
            self._calls.popitem(last=False)
        if self._shared is not None:
            self._shared.put(call_key, call)

    def drop(self, call_key: CallKey) -> Claim | None:
        """Forget a call; the claim it was allowed by, where this process allowed it."""
        known = self._calls.pop(call_key, None)
        return None if known is None else known[1]

    def claim_of(self, call_key: CallKey) -> Claim | None:
        """The claim by which this process allowed a call."""
        known = self._calls.get(call_key)
        return None if known is None else known[1]
