"""Tax, months and lines of papers: pure arithmetic."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rating_engine.adapters.paper.drawing import draw
from rating_engine.adapters.paper.texts import TEXTS, decimals_of, written_amount, written_percent, written_time
from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.invoice import InvoiceLine, LineKind, fitted, label_of, month_before, month_of
from rating_engine.domain.papers import net_of, tax_on, written

amounts = st.decimals(Decimal("0.01"), Decimal(10**8), places=2)
percents = st.decimals(0, 100, places=3)


@pytest.mark.parametrize(
    ("net", "percent", "tax"),
    [("100", "19", "19.00"), ("0.10", "5", "0.01"), ("0.09", "5", "0.00"), ("1.234567", "19", "0.23"), ("7", "0", "0")],
)
def test_a_tax_is_rounded_once_to_cents_halves_up(net, percent, tax):
    assert tax_on(Decimal(net), Decimal(percent)) == Decimal(tax)


@given(amounts, percents)
def test_a_gross_amount_is_its_net_and_the_tax_on_it_to_a_cent(gross, percent):
    net, tax = net_of(gross, percent)
    assert net + tax == gross
    assert abs(tax_on(net, percent) - tax) <= Decimal("0.01")


@pytest.mark.parametrize(
    ("year", "month", "zone", "begin", "end"),
    [
        (2026, 12, "UTC", "2026-12-01T00:00:00+00:00", "2027-01-01T00:00:00+00:00"),
        (2026, 3, "Europe/Berlin", "2026-03-01T00:00:00+01:00", "2026-04-01T00:00:00+02:00"),
    ],
)
def test_a_month_is_that_of_the_accounts_own_calendar(year, month, zone, begin, end):
    found = month_of(year, month, zone)
    assert (found.begins_at.isoformat(), found.ends_at.isoformat()) == (begin, end)
    assert (found.start.day, found.end.day) == (1, 1)
    assert month_before(found.end) == (year, month)


@pytest.mark.parametrize(("year", "month"), [(2026, 0), (2026, 13), (1999, 1), (2200, 1), (10**9, 1), (2026, -5)])
def test_what_is_no_month_is_refused(year, month):
    with pytest.raises(InvalidRequest):
        month_of(year, month, "UTC")


def test_the_month_before_january_is_last_years_december():
    assert month_before(date(2026, 1, 31)) == (2025, 12)


@given(st.lists(st.tuples(st.sampled_from(list(LineKind)), st.integers(-999, 999)), max_size=60))
def test_lines_that_are_too_many_come_to_the_same_by_kind(found):
    lines = [InvoiceLine(kind, str(n), 1, n, Decimal(amount)) for n, (kind, amount) in enumerate(found)]
    kept = fitted(lines, most=20)
    assert len(kept) <= max(20, 0)
    for kind in LineKind:
        for field in ("amount", "quantity", "seconds"):
            assert sum(getattr(line, field) for line in kept if line.kind is kind) == sum(
                getattr(line, field) for line in lines if line.kind is kind
            )


def test_what_people_wrote_is_no_markup_and_no_other_file_is_read():
    name = '<img src="file:///etc/hostname"/> & <b>Łódź</b>\n<para>'
    party = {"name": name, "address": name, "email": name, "bank_account": name, "tax_number": name}
    line = {"kind": "calls", "name": name, "quantity": 1, "seconds": 61, "amount": "1.234567"}
    zero = dict.fromkeys(("net", "tax", "commission", "total", "due", "tax_percent"), "0")
    day = "2026-11-30T12:00:00+00:00"
    taxes = [{"name": name, "percent": "1.5", "amount": "0.02"}, {"name": name, "percent": "19", "amount": "0.23"}]
    invoice = {
        **zero, "kind": "request", "label": "PRO-000001", "language": "xx", "state": "open", "issued_at": day,
        "valid_to": day, "period_start": None, "login": name, "account_id": 1, "currency": "EUR", "opening": None,
        "closing": None, "issuer": party, "billed": party, "lines": [line] * 200,
        "taxes": taxes,
    }  # fmt: skip
    assert draw({"invoice": invoice, "draft": True}).startswith(b"%PDF-1.")


def test_numbers_are_printed_as_people_of_each_language_write_them():
    assert [written_amount(Decimal("-1234.5"), language) for language in TEXTS] == [
        "−1,234.50", "−1.234,50", "−1\u00a0234,50", "−1\u00a0234,50",
    ]  # fmt: skip
    assert written_amount(Decimal("0.000001"), "en", 2) == "0.000001"
    assert decimals_of([Decimal("1.10"), Decimal("2.123400")]) == 4
    assert (written_percent(Decimal("19.000"), "de"), written_percent(Decimal("7.7"), "de")) == ("19", "7,7")
    assert (written_time(3_661), written_time(0), written(Decimal("5.000000"))) == ("1:01:01", "", "5.00")
    assert label_of("monthly", 17) == "INV-000017"
    assert {frozenset(words) for words in TEXTS.values()} == {frozenset(TEXTS["en"])}  # each language says all of it
