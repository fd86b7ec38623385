"""Ready numbering plans, by example numbers of their countries as people there dial them."""

from __future__ import annotations

import phonenumbers
import pytest
from phonenumbers import PhoneMetadata, PhoneNumberType

from rating_engine.domain.errors import NotFound
from rating_engine.domain.ready_plans import READY_PLANS, ready_plan
from rating_engine.rating.numbering import NumberingPlan, destination_of

REGIONS = {
    "nanp": "US",
    "australia": "AU",
    "austria": "AT",
    "belgium": "BE",
    "czechia": "CZ",
    "denmark": "DK",
    "france": "FR",
    "germany": "DE",
    "greece": "GR",
    "india": "IN",
    "ireland": "IE",
    "italy": "IT",
    "japan": "JP",
    "mexico": "MX",
    "netherlands": "NL",
    "new-zealand": "NZ",
    "norway": "NO",
    "poland": "PL",
    "portugal": "PT",
    "russia": "RU",
    "south-africa": "ZA",
    "spain": "ES",
    "sweden": "SE",
    "switzerland": "CH",
    "turkey": "TR",
    "uk": "GB",
    "ukraine": "UA",
}


def examples(region: str) -> list[tuple[str, str]]:
    """A line and a mobile of a country: as they are dialled there, and as E.164 has them."""
    found = []
    for kind in (PhoneNumberType.FIXED_LINE, PhoneNumberType.MOBILE):
        number = phonenumbers.example_number_for_type(region, kind)
        assert number is not None
        national = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL)
        e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
        found.append((national, e164.removeprefix("+")))
    return found


@pytest.mark.parametrize("plan", READY_PLANS, ids=lambda plan: plan.name)
def test_numbers_dialled_as_at_home_are_of_the_country(plan: NumberingPlan) -> None:
    for national, e164 in examples(REGIONS[plan.name]):
        assert destination_of(national, plan) == e164


@pytest.mark.parametrize("plan", READY_PLANS, ids=lambda plan: plan.name)
def test_numbers_abroad_are_dialled_by_the_countrys_own_prefix_or_with_a_plus(plan: NumberingPlan) -> None:
    region = REGIONS[plan.name]
    metadata = PhoneMetadata.metadata_for_region(region)
    assert metadata is not None
    assert metadata.country_code == int(plan.country_code)
    for other in REGIONS.values():
        for national, e164 in examples(other):
            assert destination_of(f"+{e164}", plan) == e164, national
            assert destination_of(f"{plan.international_prefix}{e164}", plan) == e164
    said = metadata.preferred_international_prefix or metadata.international_prefix
    assert plan.international_prefix in said.replace("~", "") or region == "AU"  # 0011, or a carrier's own


@pytest.mark.parametrize(
    "dialled", ["2015550123", "(201) 555-0123", "1-201-555-0123", "+1 201 555 0123", "01112015550123"]
)
def test_ten_digits_in_north_america_are_a_number_of_it(dialled: str) -> None:
    assert destination_of(dialled, ready_plan("nanp")) == "12015550123"


def test_short_numbers_are_no_numbers_of_the_country() -> None:
    assert destination_of("911", ready_plan("nanp")) == "911"
    assert destination_of("112", ready_plan("germany")) == "112"


def test_an_unknown_plan_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(NotFound, match="no ready numbering plan 'mars'; there are: nanp, australia"):
        ready_plan("mars")
