"""The words that carriers write, in the forms they write them."""

from __future__ import annotations

import pytest

from rating_engine.services.decks.file.words import says_any_time, says_blocked, says_closed, says_open

OPEN = """New|new rate|NEW|New Code|Added|N/C|NC|No Change|no changes|No-Change|Not changed|Unchanged|Same|same rate
Current|Current Rate|Effective|In Effect
Rate Increase|Increase|Increased|INCREASE|Price Increase|Increase in rate|Up|Decrease
Rate Decrease|Decreased|Reduction|Reduced|Down|Change|Changed|Rate Change|Price change|Updated|Active|Open|Available
OK|New, effective|Existing|Pending increase|-|=|↑|Confirmed|Code Added|Promo""".replace("\n", "|").split("|")
CLOSED = "Withdrawn|Closed|CLOSED|Code closed|Deleted|Delete|Removed|Code removed|Discontinued|Terminated|Expired|End"
BLOCKED = "Blocked|Barred|Suspended|Not available|Unavailable|Not offered|Inactive|Disabled|No service"
UNKNOWN = "D|Maybe|See note 3|Not new|No|new?closed|increase closed|rate|N/A"
ANY_TIME = (
    "All Times|24hr|0-24|Default|-||any time|Anytime|All Day|24/7|24x7|00:00-24:00|00:00 - 23:59|24 hours|Flat|ALL"
)
BANDS = "Peak|night|8-20|Mo-Fr|Weekend|standard|Time 1"


@pytest.mark.parametrize("word", OPEN)
def test_an_open_code_is_known_however_it_is_said(word: str) -> None:
    assert (says_open(word), says_closed(word), says_blocked(word)) == (True, False, False)


@pytest.mark.parametrize("word", CLOSED.split("|"))
def test_a_closed_code_is_known_however_it_is_said(word: str) -> None:
    assert (says_open(word), says_closed(word), says_blocked(word)) == (False, True, False)


@pytest.mark.parametrize("word", BLOCKED.split("|"))
def test_a_blocked_code_is_known_however_it_is_said(word: str) -> None:
    assert (says_open(word), says_closed(word), says_blocked(word)) == (False, False, True)


@pytest.mark.parametrize("word", UNKNOWN.split("|"))
def test_what_is_not_known_is_none_of_them(word: str) -> None:
    assert (says_open(word), says_closed(word), says_blocked(word)) == (False, False, False)


@pytest.mark.parametrize("word", ANY_TIME.split("|"))
def test_any_time_is_no_band(word: str) -> None:
    assert says_any_time(word)


@pytest.mark.parametrize("word", BANDS.split("|"))
def test_a_time_of_day_is_one(word: str) -> None:
    assert not says_any_time(word)
