"""Who may do what with calls, past and live, and with the engine itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rating_engine.domain.party import Level
from rating_engine.domain.rights import Otherwise, Right, line, party, reads, system

_CALLS: Final = (line("wanted.login"), line("wanted.account_of"), party("wanted.owner", otherwise=Otherwise.ALL))

ACTIONS: Final[Mapping[str, Right]] = {
    "cdrs.report": reads("calls", party()),
    "cdrs.page": reads("calls", *_CALLS),
    "cdrs.show": system("calls", "read"),
    "cdrs.export": system("calls", "read"),
    "cdrs.sums": reads("calls", *_CALLS),
    "call_posting.post": Right("money:write", Level.ADMIN, money=True),
    "live_calls.hang_up": system("calls"),
    "live_calls.hang_up_own": Right("calls:write", Level.SIMPLE_USER, own=True),
    "live_calls.hang_up_line": Right("calls:write", Level.SIMPLE_USER, (line(),)),
    "refused_calls.page": system("calls", "read"),
    "live_calls.page": reads("calls", *_CALLS),
    "live_calls.suspicious": system("calls", "read"),
    "live_calls.unfinished": system("calls", "read"),
    "rerates.begin": system("calls"),
    "rerates.discard": system("calls"),
    "rerates.find": system("calls", "read"),
    "rerates.page": system("calls", "read"),
    "rerates.post": Right("money:write", Level.ADMIN, money=True),
    "rerates.read": system("calls"),
    "rerates.show": system("calls", "read"),
    "simulations.simulate": system("calls", "read"),
    "maintenance.run": Right("maintenance:write", Level.SIMPLE_USER, own=True),  # of which key, it says itself
    "doctor.examine": system("system", "read"),
    "doctor.prove_laws": system("system", "read"),
    "doctor.schema_problem": system("system", "read"),
    "doctor.totals": system("system", "read"),
    "integrity.check": system("system", "read"),
}
