"""How answers of the Narayana surface are written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from rating_engine.api.common.paths import shown_path
from rating_engine.api.narayana import answer
from rating_engine.api.narayana.errors import Code, Failure
from rating_engine.api.narayana.lines import plain, word
from rating_engine.api.narayana.sounds import balance_sounds, number_sounds


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
    assert balance_sounds(Decimal("-0.5"), "CHF").startswith("balance&minus&null&chf&digits/50&cents")


@pytest.mark.parametrize(
    ("number", "sounds"),
    [(0, "null"), (20, "digits/20"), (101, "digits/1 digits/hundred digits/1"),
     (12_340, "digits/12 digits/thousand digits/3 digits/hundred digits/40")],
)  # fmt: skip
def test_numbers_are_spoken_by_their_groups(number, sounds):
    assert " ".join(number_sounds(number)) == sounds


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
