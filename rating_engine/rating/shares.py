"""Draws for a call: which of several routes it goes to first, in proportion to their weights.

Laws: a draw depends on the call, the route and nothing else, so that every attempt of a call, on any engine, sees the
same; and taking a route away leaves the order of the others. Integers only: no two machines can round apart.
"""

from __future__ import annotations

import hashlib
from fractions import Fraction
from typing import Final

DRAW_BITS: Final = 64
LOG_BITS: Final = 32  # of a logarithm after the point: two routes arrive together once in billions of calls
STEP_BITS: Final = 4  # of them found at once; more makes numbers longer than it saves steps
_STEP: Final = 2**STEP_BITS


def is_within(percentage: int, call_seed: str, route_id: int) -> bool:
    """Whether the call is among the `percentage` of all calls that the route may serve."""
    return _draw(b"percentage", call_seed, route_id) % 100 < percentage


def arrival(weight: int, call_seed: str, route_id: int) -> Fraction:
    """When the route arrives in the race for the call: the first takes it, and it is first as often as its weight says.

    -log(u) / weight of a uniform u is exponentially distributed with the weight as its rate; of several such the least
    is one's with the probability weight / sum of weights (weighted rendezvous hashing).
    """
    return Fraction(_minus_log2(_draw(b"weight", call_seed, route_id)), weight)


def _draw(purpose: bytes, call_seed: str, route_id: int) -> int:
    """A number from 0 to 2**DRAW_BITS - 1, each as likely. `purpose` keeps one question's answer out of another's."""
    text = f"{route_id} {call_seed}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=DRAW_BITS // 8, person=purpose).digest(), "big")


def _minus_log2(draw: int) -> int:
    """-log2((draw + 1) / 2**DRAW_BITS) in units of 2**-LOG_BITS: 0 or more, and never more for a greater draw.

    The whole part is the length of the number. What remains, from 1 to 2, is raised to the power of 2**STEP_BITS: the
    length of that is the next STEP_BITS bits after the point.
    """
    number = draw + 1
    whole = number.bit_length() - 1
    rest = number << (DRAW_BITS - whole)  # from 1 to 2, with DRAW_BITS after the point
    fraction = 0
    for _ in range(LOG_BITS // STEP_BITS):
        power = rest**_STEP
        bits = power.bit_length() - 1 - DRAW_BITS * _STEP
        rest = power >> (DRAW_BITS * (_STEP - 1) + bits)
        fraction = fraction << STEP_BITS | bits
    return ((DRAW_BITS - whole) << LOG_BITS) - fraction
