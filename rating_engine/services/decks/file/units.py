"""What a header says of the amounts below it: their currency, cents or whole, per minute or per second.

Law: what a header says is used or the file is refused. A unit that is dropped makes a price sixty times, or a hundred
times, too dear or too cheap.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from rating_engine.services.decks.file.errors import DeckFileError

_ISO_4217: Final = """
AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP
CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR
ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT
MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD
SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VES VND
VUV WST XAF XCD XOF XPF YER ZAR ZMW ZWL
"""
_DOLLARS: Final = """
USD CAD AUD NZD SGD HKD TWD MXN ARS CLP COP BSD BBD BMD BND BZD FJD GYD JMD KYD LRD NAD SBD SRD TTD XCD
"""
CURRENCIES: Final = frozenset(_ISO_4217.split())
# Words of other meanings too: currencies in brackets alone.
ALSO_WORDS: Final = frozenset(("ALL", "TRY", "TOP", "MOP", "SOS", "CUP", "PEN", "MAD", "LAK", "GEL", "COP"))
# What a sign may stand for.
_SIGNS: Final = {
    "€": frozenset(("EUR",)),
    "£": frozenset(("GBP", "EGP", "FKP", "GIP", "LBP", "SHP", "SSP", "SDG", "SYP")),
    "¥": frozenset(("JPY", "CNY")),
    "₹": frozenset(("INR",)),
    "₽": frozenset(("RUB",)),
    "₺": frozenset(("TRY",)),
    "₴": frozenset(("UAH",)),
    "₸": frozenset(("KZT",)),
    "₦": frozenset(("NGN",)),
    "৳": frozenset(("BDT",)),
    "$": frozenset(_DOLLARS.split()),
}
_WORDS_FOR: Final = {
    **dict.fromkeys(("euro", "euros", "eurocent", "eurocents"), frozenset(("EUR",))),
    **dict.fromkeys(("dollar", "dollars"), _SIGNS["$"]),
    **dict.fromkeys(("pence", "penny", "ppm", "sterling"), frozenset(("GBP",))),
    **dict.fromkeys(("paise", "paisa"), frozenset(("INR", "PKR", "NPR", "BDT"))),
}
_LANDS_OF_DOLLARS: Final = {"US": "USD", "A": "AUD", "AU": "AUD", "C": "CAD", "CA": "CAD", "NZ": "NZD", "HK": "HKD"}
_HUNDREDTHS: Final = frozenset(
    ("cent", "cents", "¢", "ct", "cts", "eurocent", "eurocents", "pence", "penny", "pennies", "ppm", "paise", "paisa")
)
_SHORT_HUNDREDTHS: Final = frozenset(("c", "p"))  # before "/min" or "per minute" alone
_MINUTES: Final = frozenset(("min", "mins", "minute", "minutes", "m", "ppm"))
_SECONDS: Final = frozenset(("s", "sec", "secs", "second", "seconds"))
# What no price of a minute can be made of.
_OTHER: Final = frozenset(
    (
        *("call", "calls", "attempt", "hour", "hours", "hr", "hrs", "h", "day", "days", "week", "month", "months"),
        *("sms", "mms", "message", "messages", "mb", "gb", "kb", "ms", "msec", "millisecond", "milliseconds"),
    )
)
# In brackets, what changes no amount.
_HARMLESS: Final = frozenset(
    (
        *("in", "per", "of", "a", "the", "and", "or", "new", "current", "price", "rate", "rates", "unit", "currency"),
        *("excl", "excluding", "exclusive", "ex", "without", "net", "vat", "tax", "taxes", "iso", "voice", "call"),
        *("minute", "minutes", "min", "mins", "second", "seconds", "sec", "secs", "s", "m", "us", "offer", "buy"),
        *("sell", "cost", "selling", "buying", "duration", "increment", "billing", "optional", "decimal", "decimals"),
        *("if", "any", "applicable", "z"),
    )
)
_OF_PAIRS: Final = frozenset(
    (
        *(
            "init",
            "initial",
            "first",
            "1st",
            "minimum",
            "add",
            "additional",
            "next",
            "subsequent",
            "subs",
            "inc",
            "incr",
        ),
        *("increment", "following", "then", "step"),
    )
)
_IN_BRACKETS: Final = re.compile(r"[(\[]([^)\]]*)[)\]]")
_TOKEN: Final = re.compile(r"[^\W\d_]+|\d+|[^\w\s]")
_MINUTE_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class Unit:
    """`hundredths`: the amounts are cents. `seconds`: what they are for or count, 0 where the name does not say.

    `currencies`: which they may be in; empty where the name does not say. `base`: the name without all of this.
    `unknown`: a word in brackets that is none of it; '' where all are understood.
    """

    hundredths: bool
    seconds: int
    currencies: frozenset[str]
    base: str
    unknown: str = ""


def unit_of(name: str) -> Unit:
    """What a name of a column says of its amounts. Raises DeckFileError for a unit that cannot be reckoned with."""
    tokens = _TOKEN.findall(name)
    lower = [token.casefold() for token in tokens]
    named: list[frozenset[str]] = []
    used: set[int] = set()
    depth = 0
    for at, token in enumerate(tokens):
        depth += (token in "([") - (token in ")]")
        found = _currencies(token, in_brackets=depth > 0 or len(tokens) == 1)
        if lower[at] == "us" and lower[at + 1 : at + 2] in (["cent"], ["cents"], ["dollar"], ["dollars"], ["$"]):
            found = frozenset(("USD",))
        if found:
            named.append(found)
            used.add(at)
    hundredths = _hundredths(lower, used)
    seconds = _seconds(name, lower, used)
    currencies = frozenset.intersection(*named) if named else frozenset()
    if named and not currencies:
        raise DeckFileError(f"the column {name!r} names different currencies")
    return Unit(hundredths, seconds, currencies, _base(lower, used), _unknown(lower, used))


def _unknown(lower: list[str], used: set[int]) -> str:
    """A word in brackets that says something of the amounts which nobody reads."""
    depth = 0
    for at, token in enumerate(lower):
        depth += (token in "([") - (token in ")]")
        if depth > 0 and at not in used and token.isalnum() and token not in _HARMLESS:
            return token
    return ""


def names_a_pair(name: str) -> bool:
    """Whether brackets name two increments, as in Increments (min/inc): a minimum and not minutes.

    Raises DeckFileError where they speak of minutes too.
    """
    words = {word for part in _IN_BRACKETS.findall(name) for word in _TOKEN.findall(part.casefold())}
    if not words & _OF_PAIRS:
        return False
    if words & {"minute", "minutes", "mins"}:
        raise DeckFileError(f"the column {name!r} may be of seconds or of minutes: name it in a profile, or rename it")
    return True


def says_hundredths(word: str) -> bool:
    """Whether a word is of cents or the like."""
    return word.casefold() in _HUNDREDTHS


def currencies_of(token: str) -> frozenset[str]:
    """The currencies that a word or a sign beside an amount may stand for, as USD, US$ and Euro; empty: it is none."""
    plain = token.strip().strip(".()[]")
    if plain.casefold() in _HUNDREDTHS:
        return frozenset()
    if plain.endswith("$") and (land := plain[:-1].upper()) in _LANDS_OF_DOLLARS:
        return frozenset((_LANDS_OF_DOLLARS[land],))
    return _currencies(plain, in_brackets=True)


def _base(lower: list[str], used: set[int]) -> str:
    """What stands outside of brackets and is no unit."""
    words: list[str] = []
    depth = 0
    for at, token in enumerate(lower):
        depth += (token in "([") - (token in ")]")
        if not depth and at not in used and token.isalnum() and token not in ("in", "per"):
            words.append(token)
    return "".join(words)


def _currencies(token: str, *, in_brackets: bool) -> frozenset[str]:
    code = token.upper()
    if code in CURRENCIES and (in_brackets or (token == code and code not in ALSO_WORDS) or code in ("USD", "EUR")):
        return frozenset((code,))
    return _SIGNS.get(token) or _WORDS_FOR.get(token.casefold(), frozenset())


def _hundredths(lower: list[str], used: set[int]) -> bool:
    found = False
    for at, token in enumerate(lower):
        is_short = token in _SHORT_HUNDREDTHS and lower[at + 1 : at + 2] in (["/"], ["per"])
        if token in _HUNDREDTHS or is_short:
            found = True
            used.add(at)
    return found


def _seconds(name: str, lower: list[str], used: set[int]) -> int:
    """The time in it: after "per" or "/", or alone in brackets as in `Interval (min)`."""
    said: set[int] = set()
    if "%" in lower or "percent" in lower:
        raise DeckFileError(f"the column {name!r} is in per cent, which is no price: name another one in a profile")
    for at, token in enumerate(lower):
        before = lower[at - 1] if at else ""
        count = int(before) if before.isdecimal() and len(before) < 5 else 1
        by = lower[at - 2] if before.isdecimal() and at > 1 else before
        is_unit = by in ("per", "/", "(", "[") or (token == "ppm")
        if not is_unit:
            continue
        if token in _OTHER:
            raise DeckFileError(f"the column {name!r} is per {token}, of which no price of a minute can be made")
        if token in _MINUTES or token in _SECONDS:
            said.add(count * (_MINUTE_SECONDS if token in _MINUTES else 1))
            used.update(range(at - 2 if before.isdecimal() and at > 1 else at - 1, at + 1))
    if len(said) > 1:
        raise DeckFileError(f"the column {name!r} names different units of time")
    return said.pop() if said else 0
