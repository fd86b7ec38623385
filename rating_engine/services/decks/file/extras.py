"""The rarer terms of a rate, which a row says in one cell as JSON by the names of `Rate`.

Law: what is taken is what `Rate` takes; amounts are text or whole numbers there, as everywhere.
"""

from __future__ import annotations

import json
from typing import Any, Final

from rating_engine.rating.rate import Rate
from rating_engine.services.decks.file.errors import RowRejected

MAX_EXTRAS_CHARACTERS: Final = 4_000  # some dozens of tiers; more is another kind of file

# What a row may say there: what no column says, and neither the tariff nor the call itself decides.
EXTRA_FIELDS: Final = (
    *("surcharge_unit", "surcharge_after", "added_seconds", "added_percent", "round_up_above", "round_up_to"),
    *("block_charge", "block_seconds", "tiers", "multiplier"),
)


def extra_fields(text: str, name: str) -> dict[str, Any]:
    """The fields that a cell says; what their values are, `Rate` checks. Raises RowRejected."""
    if not text:
        return {}
    if len(text) > MAX_EXTRAS_CHARACTERS:
        raise RowRejected(f"{name}: is longer than {MAX_EXTRAS_CHARACTERS} characters")
    try:
        fields: Any = json.loads(text, parse_float=str)  # 0.05 is what was written, and never a float
    except (ValueError, RecursionError):
        raise RowRejected(f"{name}: is not JSON") from None
    if not isinstance(fields, dict):
        raise RowRejected(f'{name}: is not a JSON object, such as {{"surcharge_after": 60}}')
    if unknown := [field for field in fields if field not in EXTRA_FIELDS]:
        raise RowRejected(f"{name}: {unknown[0][:40]!r} is none of {', '.join(EXTRA_FIELDS)}")
    return fields


def extras_text(rate: Rate) -> str:
    """The extras of a rate as its row keeps them; '' where it has none."""
    said = json.loads(rate.to_json())
    kept = {field: said[field] for field in EXTRA_FIELDS if field in said}
    return json.dumps(kept, sort_keys=True, separators=(",", ":")) if kept else ""
