"""How answers of the Narayana surface are written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from rating_engine.api.common.paths import shown_path
from rating_engine.api.narayana import answer
from rating_engine.api.narayana.errors import Code, Failure
from rating_engine.api.narayana.lines import plain, word
from rating_engine.api.narayana.sounds import balance_sounds


@pytest.mark.parametrize(
    ("amount", "shown"),
    [("1", "1.00"), ("1.5", "1.50"), ("0.125000", "0.125"), ("-0.00", "0.00"), ("-3", "-3.00"), ("1E+3", "1000.00")],
)
def test_money_has_two_decimals_or_as_many_as_it_has(amount, shown):
    assert answer.money(Decimal(amount)) == shown


def test_the_envelope_of_a_method_that_says_true_has_no_response():
    assert answer.done(True, as_text=False).body == b'{"result":true}'
    assert answer.done(True, as_text=True).body == b"true"


def test_lists_and_objects_are_json_and_money_in_them_is_a_number():
    cost = {"cost": Decimal("0.10")}

    assert answer.done([cost], as_text=False).body == b'{"result":true,"response":[{"cost":0.10}]}'
    assert answer.done([cost], as_text=True).body == b'[{"cost":0.10}]'


def test_a_failure_is_its_code_and_in_json_what_was_wrong():
    failure = Failure(Code.E_NOT_EXIST, "no such ban")

    as_json = answer.failed(failure, as_text=False)
    assert as_json.body == b'{"result":false,"response":"E_NOT_EXIST","description":"no such ban"}'
    assert as_json.status_code == 200
    assert answer.failed(failure, as_text=True).body == b"E_NOT_EXIST"


def test_a_database_that_is_away_says_when_to_ask_again():
    response = answer.failed(Failure(Code.E_SQL_ERROR), as_text=True)

    assert (response.status_code, response.headers["retry-after"]) == (503, "5")
    assert answer.failed(Failure(Code.E_SQL_ERROR), as_text=True, line="Declined E_SQL_ERROR").status_code == 200


def test_no_answer_is_kept_by_anybody():
    for response in (answer.done("x", as_text=True), answer.refused(401, "Unauthorized")):
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["referrer-policy"] == "no-referrer"


def test_dates_are_of_the_server_or_of_the_user_s_offset():
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=1)))

    assert answer.date(moment) == "2026-01-02 02:04:05"
    assert answer.date(moment.astimezone(UTC), 330) == "2026-01-02 07:34:05"


def test_a_field_of_a_line_has_no_blank():
    assert word("Russia Mobile - Tele2") == "RussiaMobile-Tele2"
    assert (word(""), word("a [b]\n")) == ("-", "ab")
    assert (plain(Decimal("0.000000")), plain(Decimal("0.250000")), plain(Decimal(100))) == ("0", "0.25", "100")


def test_a_balance_is_named_in_sounds_and_never_more_than_there_is():
    assert balance_sounds(Decimal(0), "EUR") == "balance&null&euro&null&cents&tadam3s"
    assert balance_sounds(Decimal("21.999"), "USD") == (
        "balance&digits/20&digits/1&dollars&digits/90&digits/9&cents&tadam3s"
    )
    assert balance_sounds(Decimal("-0.5"), "CHF").startswith("balance&digits/minus&null&chf&digits/50&cents")


@pytest.mark.parametrize(
    ("language", "amount", "currency", "sounds"),
    [
        ("en", "1.01", "GBP", "1 pound 1 penny"),
        ("en", "2.02", "GBP", "2 pounds 2 pence"),
        ("xx", "12340.20", "EUR", "12 thousand 3 hundred 40 euro 20 cents"),
        ("de", "1.21", "EUR", "1N euro 1-and 20 cents"),
        ("de", "100.11", "EUR", "hundred euro 11 cents"),
        ("de", "101", "EUR", "1N hundred 1N euro null cents"),
        ("de", "1001", "EUR", "1N thousand 1N euro null cents"),
        ("de", "1000000", "EUR", "1F million euro null cents"),
        ("de", "2001000", "EUR", "2 millions thousand euro null cents"),
        ("fr", "21.71", "EUR", "20 et 1 euro 60 et 11 cents"),
        ("fr", "1101.81", "EUR", "thousand hundred 1 euro 80 1 cents"),
        ("es", "1.21", "EUR", "1M euro 21 cents"),
        ("es", "101.31", "EUR", "100-and 1M euro 30 and 1M cents"),
        ("es", "1100", "USD", "thousand 100 dollars null cents"),
        ("es", "2000200", "EUR", "2 millions 200 euro null cents"),
        ("ru", "1.01", "RUB", "1 ruble 1f kopeck"),
        ("ru", "2.22", "RUB", "2 rubles-few 20 2f kopecks-few"),
        ("ru", "5.11", "RUB", "5 rubles 11 kopecks"),
        ("ru", "21.05", "RUB", "20 1 ruble 5 kopecks"),
        ("ru", "1001", "RUB", "1f thousand 1 ruble null kopecks"),
        ("ru", "112", "RUB", "100 12 rubles null kopecks"),
        ("ru", "22005000", "RUB", "20 2 million-a 5 thousands rubles null kopecks"),
        ("pl", "1.01", "PLN", "1 zloty 1 grosz"),
        ("pl", "2.21", "PLN", "2 zlotys-few 20 1 groszy"),
        ("pl", "1001.14", "PLN", "1 1000 1 zlotys 14 groszy"),
        ("pl", "104000", "PLN", "100 4 1000.2 zlotys null groszy"),
    ],
)
def test_an_amount_is_spoken_by_the_grammar_of_its_language(language, amount, currency, sounds):
    spoken = balance_sounds(Decimal(amount), currency, language)

    assert spoken.replace("digits/", "") == "&".join(("balance", *sounds.split(), "tadam3s"))


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/billing/api/2.2/secret/getInfo", "/billing/api/2.2/***/getInfo"),
        ("//billing//api/2.2//secret", "//billing//api/2.2//***"),
        ("/readyz", "/readyz"),
    ],
)
def test_a_key_is_in_no_path_that_is_logged(path, shown):
    assert shown_path(path) == shown
