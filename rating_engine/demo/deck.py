"""A rate deck to try the engine with: real E.164 prefixes with their places and carriers, at invented prices.

Prefixes and names come from the `phonenumbers` package (Google's libphonenumber data). Prices are in the range that
wholesale decks had when this was written, and depend on nothing but the names: every run writes the same file.
"""

from __future__ import annotations

import csv
import re
import unicodedata
import zlib
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Final

COLUMNS: Final = ("prefix", "direction", "price", "interval_1", "interval_n", "connect_fee")
MAX_PLACE_DIGITS: Final = 5  # places by area code; longer prefixes are single exchanges of the same price

# Per minute, to fixed lines and to mobiles. Other countries by their world zone, the first digit of the country code.
_COUNTRY_PRICES: Final = """
    US 0.0045 0.0045   CA 0.0050 0.0050   GB 0.0060 0.0210   DE 0.0080 0.0230   FR 0.0065 0.0240   ES 0.0060 0.0180
    IT 0.0075 0.0250   NL 0.0090 0.0220   PL 0.0100 0.0230   RU 0.0480 0.1450   KZ 0.0950 0.1650   UA 0.1400 0.1900
    CN 0.0110 0.0130   IN 0.0150 0.0160   BR 0.0110 0.0270   MX 0.0055 0.0120   AU 0.0130 0.0310   JP 0.0260 0.0750
    CU 0.7400 0.7900   SO 0.5200 0.5900
"""
_ZONE_PRICES: Final = """
    1 0.1100 0.1900    2 0.1700 0.2600    3 0.0300 0.0900    4 0.0250 0.0700    5 0.0500 0.1100    6 0.0700 0.0900
    7 0.0600 0.1500    8 0.0350 0.0450    9 0.0800 0.1200
"""
_INCREMENTS: Final = {"US": (6, 6), "CA": (6, 6), "MX": (60, 60), "RU": (60, 1)}
_USUAL_INCREMENTS: Final = ((1, 1), (1, 1), (1, 1), (1, 1), (60, 1), (60, 1), (30, 6), (60, 60))

_UNNAMED_REGIONS: Final = {"AC": "Ascension", "TA": "TristanDaCunha", "XK": "Kosovo"}  # no names in libphonenumber

_NO_COUNTRY: Final = "001"  # libphonenumber's region of a country code that is a network
# Such networks that people call. The others (freephone, audiotext) are not for sale.
_NETWORKS: Final = {"870": "Inmarsat", "881": "SatelliteMobile", "882": "InternationalNetworks", "883": "Networks883"}
_NETWORK_PRICE: Final = "5.9000"
_NETWORK_CONNECT_FEE: Final = "0.2500"

# libphonenumber does not say which area codes of country code 1 are Canada's; their places do.
_CANADA: Final = re.compile(
    "Alberta|British|Manitoba|New Brunswick|Newfoundland|Nova Scotia|Northwest|Ontario|Quebec|Saskatchewan"
    "|.*, (?:ON|QC)"
)
_FIRST_PLACE: Final = re.compile(r"[/,]")  # "Chicago, IL"; some area codes list a dozen towns
_CAMEL_WORD: Final = re.compile(r"[^0-9A-Za-z]+")


def write_demo_deck(path: Path) -> int:
    """Write the deck as a CSV for `rates import`; returns how many rates. Needs the extra `embedded`."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        rows = sorted(_rows().items())
        writer.writerows((prefix, *terms) for prefix, terms in rows)
    return len(rows)


def _rows() -> dict[str, tuple[object, ...]]:
    """Terms by prefix: countries, then places, then carriers, the later ones where two say something of a prefix."""
    from phonenumbers.carrierdata import CARRIER_DATA
    from phonenumbers.geodata import GEOCODE_DATA

    world = _World()
    rows: dict[str, tuple[object, ...]] = {}
    for prefix, region in world.countries():
        rows[prefix] = _terms(prefix, region, world.name(region))
    for prefix, place in _english(GEOCODE_DATA):
        if len(prefix) <= MAX_PLACE_DIGITS and prefix not in rows:
            region = world.region(prefix, place)
            rows[prefix] = _terms(prefix, region, f"{world.name(region)}-{_camel(_FIRST_PLACE.split(place)[0])}")
    for prefix, carrier in _english(CARRIER_DATA):
        region = world.region(prefix)
        if region != _NO_COUNTRY:
            rows[prefix] = _terms(prefix, region, f"{world.name(region)}Mobile-{_camel(carrier)}", mobile=True)
    for prefix, network in _NETWORKS.items():
        rows[prefix] = network, _NETWORK_PRICE, 60, 60, _NETWORK_CONNECT_FEE
    return rows


class _World:
    """Which region a prefix is in, and what the region is called."""

    def __init__(self) -> None:
        from phonenumbers import PhoneMetadata
        from phonenumbers.geodata.locale import LOCALE_DATA
        from phonenumbers.phonenumberutil import COUNTRY_CODE_TO_REGION_CODE

        self._regions: Mapping[int, tuple[str, ...]] = COUNTRY_CODE_TO_REGION_CODE
        self._names: Mapping[str, Mapping[str, str]] = LOCALE_DATA
        self._leading: dict[str, re.Pattern[str]] = {}
        for regions in self._regions.values():
            for region in regions[1:]:
                metadata: Any = PhoneMetadata.metadata_for_region(region)
                if metadata is not None and metadata.leading_digits:
                    self._leading[region] = re.compile(metadata.leading_digits)

    def countries(self) -> Iterator[tuple[str, str]]:
        """Country codes with their main region, and what other regions have for their own: 1242 is the Bahamas."""
        for code, regions in self._regions.items():
            if regions[0] != _NO_COUNTRY:
                yield str(code), regions[0]
            for region in regions[1:]:
                leading = self._leading.get(region)
                if leading is not None and leading.pattern.isdigit():
                    yield f"{code}{leading.pattern}", region

    def region(self, prefix: str, place: str = "") -> str:
        """The region of a prefix; `place` tells Canada from the United States."""
        code = next(prefix[:length] for length in (1, 2, 3) if int(prefix[:length]) in self._regions)
        national = prefix[len(code) :]
        main, *others = self._regions[int(code)]
        if main == "US" and _CANADA.match(place):
            return "CA"
        matching = (region for region in others if region in self._leading and self._leading[region].match(national))
        return next(matching, main)

    def name(self, region: str) -> str:
        """The region's English name as one word, as in RussiaMobile-Tele2."""
        if region in _UNNAMED_REGIONS:
            return _UNNAMED_REGIONS[region]
        names = self._names[region]
        name = names["en"]
        return _camel(names[name[1:]] if name.startswith("*") else name)  # "*aa": the same as in that language


def _english(names: Mapping[str, Mapping[str, str]]) -> Iterator[tuple[str, str]]:
    for prefix, by_language in names.items():
        if name := by_language.get("en"):
            yield prefix, name


def _terms(prefix: str, region: str, direction: str, *, mobile: bool = False) -> tuple[object, ...]:
    """The cells of a row after the prefix. Countries are up to half off their zone's price, carriers up to a fifth."""
    prices = _prices(_COUNTRY_PRICES)
    if region in prices:
        price = prices[region][mobile]
    else:
        price = _prices(_ZONE_PRICES)[prefix[0]][mobile] * (100 + _spread(region, 50)) / 100
    if mobile:
        price = price * (100 + _spread(direction, 20)) / 100
    increments = _INCREMENTS.get(region) or _USUAL_INCREMENTS[_number(region) % len(_USUAL_INCREMENTS)]
    return direction, price.quantize(Decimal("0.0001")), *increments, "0"


@cache
def _prices(table: str) -> dict[str, tuple[Decimal, Decimal]]:
    words = table.split()
    triples = zip(words[::3], words[1::3], words[2::3], strict=True)
    return {name: (Decimal(fixed), Decimal(mobile)) for name, fixed, mobile in triples}


def _spread(name: str, percent: int) -> int:
    """A whole number from -percent to +percent that depends on the name alone."""
    return _number(name) % (2 * percent + 1) - percent


def _number(name: str) -> int:
    return zlib.crc32(name.encode())


def _camel(name: str) -> str:
    """One word of ASCII letters and digits: a direction stands in lines that are split at spaces."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    words = (word for word in _CAMEL_WORD.split(plain) if word)
    return "".join(word[0].upper() + word[1:] for word in words) or "Unnamed"
