"""Numbering plans of usual countries, ready to be added: how people there dial.

Law: a plan says only what holds for every number that is dialled in its country. What is dialled with + or the
international prefix is the same number everywhere.

Source: the prefixes and lengths of libphonenumber 9.0.43 (2026); tests/unit/domain/test_ready_plans.py dials its
example numbers of each country.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from rating_engine.domain.errors import NotFound
from rating_engine.rating.numbering import NumberingPlan


def _plan(
    name: str,
    country_code: str,
    national_prefix: str = "0",
    *,
    abroad: str = "00",
    length: int = 0,
    rewrites: Mapping[str, str] = MappingProxyType({}),
) -> NumberingPlan:
    """`length`: of national numbers that are dialled without a prefix, where all of them have it."""
    return NumberingPlan(
        name=name,
        international_prefix=abroad,
        national_prefix=national_prefix,
        country_code=country_code,
        national_length=length,
        rewrites=rewrites,
    )


READY_PLANS: Final = (
    _plan("nanp", "1", "1", abroad="011", length=10),
    _plan("australia", "61", abroad="0011"),
    _plan("austria", "43"),
    _plan("belgium", "32"),
    _plan("czechia", "420", "", length=9),
    _plan("denmark", "45", "", length=8),
    _plan("france", "33"),
    _plan("germany", "49"),
    _plan("greece", "30", "", length=10),
    _plan("india", "91", length=10),
    _plan("ireland", "353"),
    # The 0 of a line is part of its number there; a mobile number begins with 3 and has no other prefix.
    _plan("italy", "39", "", rewrites=MappingProxyType({"0": "+390", "3": "+393", "00": "+"})),
    _plan("japan", "81", abroad="010"),
    _plan("mexico", "52", "", length=10),
    _plan("netherlands", "31"),
    _plan("new-zealand", "64"),
    _plan("norway", "47", "", length=8),
    _plan("poland", "48", "", length=9),
    _plan("portugal", "351", "", length=9),
    _plan("russia", "7", "8", abroad="810", length=10),
    _plan("south-africa", "27"),
    _plan("spain", "34", "", length=9),
    _plan("sweden", "46"),
    _plan("switzerland", "41"),
    _plan("turkey", "90"),
    _plan("uk", "44"),
    _plan("ukraine", "380"),
)


def ready_plan(name: str) -> NumberingPlan:
    """The plan of this name. Errors: NotFound, with the names there are."""
    for plan in READY_PLANS:
        if plan.name == name:
            return plan
    names = ", ".join(plan.name for plan in READY_PLANS)
    raise NotFound(f"there is no ready numbering plan {name[:64]!r}; there are: {names}", field="plan")
