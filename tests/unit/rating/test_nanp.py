"""Between states, within one, or neither for certain; and the table of area codes beside libphonenumber's."""

from __future__ import annotations

import phonenumbers
import pytest
from phonenumbers import PhoneNumber
from phonenumbers.geodata import GEOCODE_DATA

from rating_engine.rating.nanp import Jurisdiction, country_of_area, jurisdiction_of

JERSEY, NEWARK, NEW_YORK = "12012001234", "19732001234", "12122001234"


@pytest.mark.parametrize(
    ("caller", "called", "jurisdiction"),
    [
        (NEWARK, JERSEY, Jurisdiction.INTRA),
        (JERSEY, JERSEY, Jurisdiction.INTRA),
        (NEW_YORK, JERSEY, Jurisdiction.INTER),
        ("17872001234", JERSEY, Jurisdiction.INTER),  # Puerto Rico
        ("14162001234", "16132001234", Jurisdiction.INTRA),  # within Ontario
        ("14162001234", "15142001234", Jurisdiction.INTER),  # Ontario to Quebec
        ("14162001234", JERSEY, None),  # of another country
        ("19022001234", "17822001234", None),  # of two provinces both
        ("18002001234", JERSEY, None),  # toll-free is of no state
        ("12422001234", JERSEY, None),  # the Bahamas
        ("15992001234", JERSEY, None),  # no area code
        ("2012001234", JERSEY, None),  # without its country code: Egypt's, perhaps
        ("120120012345", JERSEY, None),  # a digit too many
        ("1201200123", JERSEY, None),
        ("12011001234", JERSEY, None),  # no number begins with 1 behind its area code
        ("442079460123", JERSEY, None),
        ("", JERSEY, None),
        (JERSEY, "442079460123", None),
        (JERSEY, "", None),
        ("1201２００1234", JERSEY, None),
    ],
)
def test_a_call_has_a_jurisdiction_only_where_both_numbers_are_of_one_country(
    caller: str, called: str, jurisdiction: Jurisdiction | None
) -> None:
    assert jurisdiction_of(caller, called) is jurisdiction


def _country(npa: int) -> str:
    """The country of an area code by libphonenumber; '' where it knows none."""
    for exchange in (234, 345, 456, 555, 222, 678, 920):
        number = PhoneNumber(country_code=1, national_number=npa * 10_000_000 + exchange * 10_000 + 5678)
        if country := phonenumbers.region_code_for_number(number):
            return country
    return ""


def test_the_countries_of_area_codes_are_those_of_libphonenumber() -> None:
    territories = {"PR", "VI", "GU", "MP", "AS"}
    for npa in range(200, 1000):
        if country := _country(npa):
            told = country_of_area(str(npa))
            assert told in ("", "US" if country in territories else country), npa


def test_the_states_of_area_codes_are_those_of_libphonenumber() -> None:
    by_state: dict[str, set[str]] = {}
    for prefix, names in GEOCODE_DATA.items():
        if prefix.startswith("1") and len(prefix) == len("1201"):
            state = names["en"].replace("British Colombia", "British Columbia")
            by_state.setdefault(state, set()).add(f"{prefix}2345678")
    assert len(by_state) > 50
    seen: dict[str, str] = {}
    for state, numbers in by_state.items():
        within = {jurisdiction_of(one, other) for one in numbers for other in numbers}
        assert within == ({None} if "/" in state else {Jurisdiction.INTRA}), state
        if "," not in state and "/" not in state:  # cities stand apart from their states there
            seen[state] = min(numbers)
    between = {jurisdiction_of(one, other) for one in seen.values() for other in seen.values() if one != other}
    assert between == {Jurisdiction.INTER, None}  # None: Canada and the United States
