"""How many seconds are charged of a conversation: one rule for the engine that holds a call and for what is told of it.

Sources: config/asterisk/extensions.conf, RATING_TOLERANCE_MS. No I/O.
"""

from __future__ import annotations


def charged_seconds(milliseconds: int, tolerance_ms: int) -> int:
    """A begun second counts once its first milliseconds have passed; a conversation has one at least."""
    return max(1, -((tolerance_ms - milliseconds) // 1000))
