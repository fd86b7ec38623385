"""What may be asked of an exchange from outside: a short list, and nothing else.

Law: no query takes arguments, so nothing that somebody writes reaches an exchange's command line; what tells of the
whole installation is for who manages it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from rating_engine.domain.errors import RatingEngineError
from rating_engine.domain.party import Level


class QueryFailed(RatingEngineError):
    """The exchange is away or refuses, or the query is not in the list."""

    code = "query_failed"


@dataclass(frozen=True, slots=True)
class ExchangeQuery:
    """An action of the manager interface. `shown`: the fields of its answer that are answered; none: `ok`.

    `least`: of whose level it is; from ADMIN on for who sees the whole installation alone.
    """

    action: str
    fields: Mapping[str, str] = field(default_factory=dict)
    shown: tuple[str, ...] = ()
    least: Level = Level.ADMIN


# By destination and process, as the Narayana document names them.
QUERIES: Final[Mapping[tuple[str, str], ExchangeQuery]] = {
    ("sipreload", "sipreload"): ExchangeQuery("Reload", {"Module": "res_pjsip.so"}, least=Level.RESELLER),
    ("interface", "ping"): ExchangeQuery("Ping", shown=("Ping",), least=Level.RESELLER),
    ("interface", "version"): ExchangeQuery("CoreSettings", shown=("AsteriskVersion",)),
    ("interface", "calls"): ExchangeQuery("CoreStatus", shown=("CoreCurrentCalls",)),
    ("dialplan", "reload"): ExchangeQuery("Reload", {"Module": "pbx_config.so"}),
}


def query_of(destination: str, process: str, params: str) -> ExchangeQuery:
    """The query that is meant. Raises QueryFailed."""
    query = QUERIES.get((destination.lower(), process.lower()))
    if query is None:
        known = ", ".join(" ".join(name) for name in QUERIES)
        raise QueryFailed(f"is none of the allowed queries: {known}", field="process")
    if params:
        raise QueryFailed("takes no parameters", field="params")
    return query
