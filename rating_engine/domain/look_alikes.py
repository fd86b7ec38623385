"""Exchanges that look like one: two Asterisks behind one address, or under one name, whose call keys may be the same.

An Asterisk names its channels by the second and a counter, `[system-]1763779024.17`, so that the counters of one
exchange rise with time. Two that share a name are told by two systems, or by counters that fall again and again.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from rating_engine.domain.outcomes import CallKey

FALLS_MIN: Final = 3  # within the calls looked at; a restart is one
_UNIQUEID: Final = re.compile(r"(?:(.+)-)?([0-9]{9,11})\.([0-9]{1,10})")


def look_alikes(call_keys: Iterable[CallKey]) -> dict[str, str]:
    """For each name that several exchanges seem to share, why it seems so. Other forms of uniqueid tell nothing."""
    seen: dict[str, dict[str, dict[int, list[int]]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for key in call_keys:
        match = _UNIQUEID.fullmatch(key.uniqueid)
        if match is not None:
            seen[key.exchange][match[1] or ""][int(match[2])].append(int(match[3]))
    found = {}
    for exchange, systems in sorted(seen.items()):
        if len(systems) > 1:
            names = ", ".join(system or "one without a system name" for system in sorted(systems))
            found[exchange] = f"calls come from several systems ({names})"
        elif (falls := _falls(next(iter(systems.values())))) >= FALLS_MIN:
            found[exchange] = f"the counters of its channels fell {falls} times, as of several exchanges"
    return found


def _falls(counters: dict[int, list[int]]) -> int:
    """How often a later second has a smaller counter than the one before it."""
    falls, highest = 0, -1
    for second in sorted(counters):
        falls += min(counters[second]) < highest
        highest = max(counters[second])
    return falls
