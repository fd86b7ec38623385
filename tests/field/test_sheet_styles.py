"""Sheets of many styles, each of a kind that carriers send: what is stored of them, or why they are refused."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import openpyxl
import pytest

from rating_engine.services.decks.file.errors import DeckFileError
from tests.support.sheet_reading import ReadSheet, read_sheet

BLOCKED = "blocked"
# Name, bytes or text, currency, then price (and what else is not as usual) by code, or by code/origin.
TAKEN: dict[str, tuple[str | bytes, str, dict[str, str]]] = {
    "European A-Z by country and area": (
        "Destination;Country Code;Area codes;Rate EUR/min\nAlbania;355;;0,1523\nAlbania Mobile;355;66,67,68-69;0,32\n",
        "EUR",
        {"355": "0.1523", "35566": "0.32", "35567": "0.32", "35568": "0.32", "35569": "0.32"},
    ),
    "a North American deck": (
        "NPANXX,LATA,OCN,INTER,INTRA,INDETERMINATE\n201200,224,0207,0.004,0.006,0.0065\n212-200,132,1,0.001,0.02,0.02\n",
        "USD",
        {
            "1201200/inter": "0.004",
            "1201200/intra": "0.006",
            "1201200": "0.0065",
            "1212200/inter": "0.001",
            "1212200/intra": "0.02",
            "1212200": "0.02",
        },
    ),
    "NPA and NXX in columns of their own": (
        'NPA,NXX,Rate\n201,200,0.01\n201,"201,202",0.02\n',
        "USD",
        {"1201200": "0.01", "1201201": "0.02", "1201202": "0.02"},
    ),
    "semicolons and decimal commas, thousands with a point": (
        "Code;Price\n44;1.234,56\n49;0,05\n",
        "EUR",
        {"44": "1234.56", "49": "0.05"},
    ),
    "tabs": ("Code\tPrice\n44\t0.012\n49\t0.01\n", "EUR", {"44": "0.012", "49": "0.01"}),
    "pipes": ("Code|Price|Increment\n44|0.01|60/60\n", "EUR", {"44": "0.01 60/60"}),
    "thousands in quotes": ('Code,Price\n44,"1,234.5678"\n49,0.01\n', "EUR", {"44": "1234.5678", "49": "0.01"}),
    "UTF-16 as Excel writes it": ("Code\tPrice\r\n44\t0.012\r\n".encode("utf-16"), "EUR", {"44": "0.012"}),
    "UTF-16 without its mark": ("Code\tPrice\r\n44\t0.012\r\n".encode("utf-16-le"), "EUR", {"44": "0.012"}),
    "UTF-8 with its mark": ("\ufeffCode;Price\n44;0.012\n", "EUR", {"44": "0.012"}),
    "Windows-1252": ("Code;Price;Destination\n44;0,012;R\xe9union \u20ac\n".encode("cp1252"), "EUR", {"44": "0.012"}),
    "dollars in the cells": (
        "Code,Price\n44,$0.012\n49,$ 0.01\n7,USD 0.05\n",
        "USD",
        {"44": "0.012", "49": "0.01", "7": "0.05"},
    ),
    "euros behind the amounts": ("Code;Price\n44;0,0123 \u20ac\n447;0,3 EUR\n", "EUR", {"44": "0.0123", "447": "0.3"}),
    "dollars in the cells of a sheet in euros": (
        "Code,Price\n44,$0.012\n49,0.01\n",
        "EUR",
        {"44": BLOCKED, "49": "0.01"},
    ),
    "cents in the cells": ("Code;Price\n44;2.5\xa2\n49;0.01\n", "EUR", {"44": BLOCKED, "49": "0.01"}),
    "dates as Excel counts days": (
        "Code,Price,Effective\n44,0.01,46357\n49,0.02,46184\n",
        "EUR",
        {"44": "0.01 from 2026-12-01", "49": "0.02 from 2026-06-11"},
    ),
    "words for at once": (
        "Code,Price,Effective\n44,0.01,immediately\n49,0.02,ASAP\n7,1,With immediate effect\n",
        "EUR",
        {"44": "0.01", "49": "0.02", "7": "1"},
    ),
    "the header on every page": ("Code,Price\n44,0.01\n\nCode,Price\n49,0.02\n", "EUR", {"44": "0.01", "49": "0.02"}),
    "titles between the rows": (
        "Destination,Code,Price\nEUROPE,,\nUK,44,0.01\n,,\nASIA,,\nIndia,91,0.02\n",
        "EUR",
        {"44": "0.01", "91": "0.02"},
    ),
    "remarks and a footer": (
        "# our offer\nCode,Price\n# Europe\n44,0.012\n// see below\n\nThank you for your business\n",
        "EUR",
        {"44": "0.012"},
    ),
    "a row of totals": ("Destination,Code,Price\nUK,44,0.012\nAverage,,0.012\n", "EUR", {"44": "0.012"}),
    "merged cells of which only the first says the price": (
        "Destination,Code,Price\nUK,44,0.01\n,447,\n",
        "EUR",
        {"44": "0.01", "447": BLOCKED},
    ),
    "codes as text for a spreadsheet": (
        'Code,Price\n="44",0.01\n="0049",="0.02"\n',
        "EUR",
        {"44": "0.01", "49": "0.02"},
    ),
    "Excel's line about the delimiter": ("sep=;\nCode;Price\n44;0,01\n", "EUR", {"44": "0.01"}),
    "a price of a second": ("Code,Rate/sec\n44,0.0001\n", "EUR", {"44": "0.006"}),
    "a price of sixty seconds": ("Code,Price per 60 sec\n44,0.01\n", "EUR", {"44": "0.01"}),
    "units in increments": (
        "Code,Rate,Interval\n44,1,1 min\n49,1,60 sec/1 sec\n7,1,60/1 min\n",
        "EUR",
        {"44": "1 60/60", "49": "1 60/1", "7": BLOCKED},
    ),
    "an area code with its trunk zero in brackets": (
        "Country Code,Area Code,Rate\n44,,0.01\n+44,(0)20,0.3\n",
        "EUR",
        {"44": "0.01", "4420": BLOCKED},
    ),
    "codes in a list that may be other countries": (
        'Code,Rate\n"9310, 44",0.3\n93,0.1\n',
        "EUR",
        {"93": "0.1", "9310": BLOCKED, "9344": BLOCKED, "931044": BLOCKED},
    ),
    "increments of which the header says the order": (
        "Code,Rate,Increments (min/inc)\n44,1,60/1\n",
        "EUR",
        {"44": "1 60/1"},
    ),
    "a title in capitals": ("ALL RATES PER MINUTE\nCode,Rate\n44,1\n", "EUR", {"44": "1"}),
    "a set-up fee of a call": ("Code,Rate,Setup Fee (per call)\n44,1,0.1\n", "EUR", {"44": "1 fee 0.1"}),
    "changes in per cent": ("Code,Rate,Change\n44,1,+5%\n49,1,-0.01\n7,1,Deleted\n", "EUR", {"44": "1", "49": "1"}),
    "the present and the coming price": (
        "Code,Current Rate,New Rate,Effective Date\n44,0.01,0.02,15.01.2027\n",
        "EUR",
        {"44": "0.02 from 2027-01-15"},
    ),
    "a currency in every row": ("Code,Rate,Currency\n44,0.6,USD\n49,0.01,US$\n", "USD", {"44": "0.6", "49": "0.01"}),
    "a space in a code": ("Code,Rate\n44,0.006\n44 7700,0.3\n", "EUR", {"44": "0.006", "447700": BLOCKED}),
    "an unquoted comma in a name": (
        "Destination,Code,Rate\nUK,44,0.006\nUK, Mobile,447,0.30\n",
        "EUR",
        {"44": "0.006", "447": BLOCKED},
    ),
    "a quote without its other": (
        'Destination,Code,Rate\nUK,44,0.006\n"UK Mobile,447,0.30\nDE,49,0.01\n',
        "EUR",
        {"44": "0.006", "447": BLOCKED, "49": "0.01"},
    ),
    "a list with strokes": (
        "Code,Rate\n4477/4478,1\n44,0.1\n",
        "EUR",
        {"44": "0.1", "4477": BLOCKED, "4478": BLOCKED, "44774478": BLOCKED},
    ),
    "a range with a shortened end": (
        "Code,Rate\n7901-03,1\n7,0.1\n",
        "EUR",
        {"7": "0.1", "7901": BLOCKED, "7902": BLOCKED, "7903": BLOCKED, "790103": BLOCKED},
    ),
    "a list of whole codes of which one is shorter": (
        'Code,Rate\n"444372, 448",0.3\n44,0.1\n',
        "EUR",
        {"44": "0.1", "444372": BLOCKED, "448": BLOCKED, "444448": BLOCKED, "444372448": BLOCKED},
    ),
    "a decimal comma that reaches into the increments": (
        "Code,Rate,Interval\n44,0,02\n49,1.5,60\n",
        "EUR",
        {"44": BLOCKED, "49": "1.5 60/60"},
    ),
    "a coming price that cannot be read": (
        "Code,Rate,Effective\n44,0.01,\n447,?,15.01.2027\n",
        "EUR",
        {"44": "0.01", "447": f"{BLOCKED} from 2027-01-15"},
    ),
}

REFUSED = {
    "a price of a call": ("Code,Rate per call\n44,0.01\n", "EUR", "no header"),
    "a unit that nobody knows": ("Code,Rate (mills)\n44,10\n", "EUR", "'mills', which is not understood"),
    "one band alone": ("Code,Rate (Peak)\n44,1\n", "EUR", "'peak', which is not understood"),
    "tax included": ("Code,Rate (incl. VAT)\n44,1\n", "EUR", "'incl', which is not understood"),
    "two prices": ("Code,Buy Rate,Sell Rate\n44,1,2\n", "EUR", "more than one column says the price"),
    "the currency above the header": ("Currency: USD\n\nCode,Rate\n44,0.01\n", "EUR", "Currency: USD.*not EUR"),
    "cents above the header": ("All rates in US cents\nCode,Rate\n44,1\n", "USD", "the header names no unit"),
    "commas of thousands and of decimals": (
        "Code;Rate\n44;1,250\n49;0.05\n",
        "EUR",
        "'1,250' may be thousands or have decimals",
    ),
    "nothing says what a comma is": ("Code;Rate\n44;5,900\n49;12\n", "EUR", "no other amount of the file says which"),
    "points of thousands and of decimals": ("Code;Rate\n44;1.250\n49;0,05\n", "EUR", "'1.250' may be thousands"),
    "dates of both orders": ("Code,Rate,Effective\n44,1,13/10/2026\n49,2,10/13/2026\n", "EUR", "no one order"),
    "a second table with other columns": (
        "Code,Rate,Setup Fee\n44,0.01,0.5\n\nCode,Setup Fee,Rate\n49,0.5,0.01\n",
        "EUR",
        "line 4 is another header",
    ),
    "area codes that repeat their country": (
        "Country Code,Area Code,Rate\n44,44,0.01\n44,447,0.3\n49,4915,0.2\n",
        "EUR",
        "every area code begins with its country code",
    ),
    "nothing but words": ("Dear Sirs,\nplease find our offer attached.\n", "EUR", "no header"),
}


def told(found: ReadSheet) -> dict[str, str]:
    """The rates by code, or code/origin, with all that is not as usual."""
    rates = {}
    for (prefix, origin), row in found.rows.items():
        words = [BLOCKED if row["blocked"] == "t" else row["price_n"]]
        assert row["price_1"] == row["price_n"]
        words += [] if row["interval_n"] == "1" == row["interval_1"] else [f"{row['interval_1']}/{row['interval_n']}"]
        words += [f"fee {row['connect_fee']}"] if row["connect_fee"] != "0" else []
        words += [f"from {row['effective_from'][:10]}"] if row["effective_from"] != "-infinity" else []
        rates[f"{prefix}/{origin}" if origin else prefix] = " ".join(words)
    return rates


def read(directory: Path, text: str | bytes, currency: str) -> ReadSheet:
    path = directory / "sheet.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_sheet(path, currency)


@pytest.mark.parametrize("name", TAKEN)
def test_a_sheet_is_read_for_what_it_says(name: str, tmp_path: Path) -> None:
    text, currency, rates = TAKEN[name]
    assert told(read(tmp_path, text, currency)) == rates


@pytest.mark.parametrize("name", REFUSED)
def test_a_sheet_that_could_mean_another_price_is_refused(name: str, tmp_path: Path) -> None:
    text, currency, reason = REFUSED[name]
    with pytest.raises(DeckFileError, match=reason):
        read(tmp_path, text, currency)


def test_the_currency_that_a_format_shows_is_that_of_the_amount(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (["Code", "Rate"], [44, 0.012], [447, 0.3], [49, 1]):
        sheet.append(row)
    sheet["B2"].number_format = "[$$-409]#,##0.000"
    sheet["B3"].number_format = '"USD" 0.00'
    path = tmp_path / "offer.xlsx"
    book.save(path)
    assert told(read_sheet(path, "USD")) == {"44": "0.012", "447": "0.3", "49": "1"}
    assert told(read_sheet(path, "EUR")) == {"44": BLOCKED, "447": BLOCKED, "49": "1"}


def test_a_workbook_with_a_cover_sheet_dates_numbers_and_merged_cells(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    cover = book.active
    assert cover is not None
    cover.append(["Confidential offer"])
    sheet = book.create_sheet("A-Z")
    for row in (
        ["Carrier X", None, None, None],
        ["Destination", "Code", "Rate (USD/min)", "Effective"],
        ["UK", 44, 0.012, date(2026, 11, 1)],
        ["UK Mobile", "447, 4477", "$0.3", "immediately"],
        [None, "4478", None, None],
        ["Total", None, None, None],
    ):
        sheet.append(row)
    sheet.merge_cells("A4:A5")
    sheet.merge_cells("C4:C5")
    book.create_sheet("Changes").append(["Code", "Rate"])
    path = tmp_path / "offer.xlsx"
    book.save(path)
    found = read_sheet(path, "USD")
    assert told(found) == {"44": "0.012 from 2026-11-01", "447": "0.3", "4477": "0.3", "4478": BLOCKED}
    assert found.source.other_sheets == ("Changes",)
    assert found.passed_over == 1
