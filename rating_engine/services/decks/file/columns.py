"""The columns that a deck may have, and the names that carriers give them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from rating_engine.rating.nanp import Jurisdiction


class Column(StrEnum):
    """What a column can hold. `PRICE` is per minute, `INTERVALS` is both increments, as in 60/1.

    `COUNTRY_CODE` and `AREA_CODE` make the prefix together, in the place of `PREFIX`. `PRICE_PEAK` and its like are
    prices per minute of one band each: a row has a rate for each of them that says something. `PRICE_INTER` and its
    like are those of calls between states, within one, and of neither for certain.
    """

    PREFIX = "prefix"
    COUNTRY_CODE = "country_code"
    AREA_CODE = "area_code"
    PRICE_1 = "price_1"
    PRICE_N = "price_n"
    PRICE = "price"
    PRICE_PEAK = "price_peak"
    PRICE_OFF_PEAK = "price_off_peak"
    PRICE_WEEKEND = "price_weekend"
    PRICE_INTER = "price_inter"
    PRICE_INTRA = "price_intra"
    PRICE_INDETERMINATE = "price_indeterminate"
    PRICE_UNIT = "price_unit"
    INTERVAL_1 = "interval_1"
    INTERVAL_N = "interval_n"
    INTERVALS = "intervals"
    CONNECT_FEE = "connect_fee"
    FREE_SECONDS = "free_seconds"
    GRACE_PERIOD = "grace_period"
    POSTCALL_SURCHARGE = "postcall_surcharge"
    MINIMUM_CHARGE = "minimum_charge"
    EXTRAS = "extras"
    ORIGIN = "origin"
    BAND = "band"
    EFFECTIVE_FROM = "effective_from"
    EFFECTIVE_TO = "effective_to"
    CURRENCY = "currency"
    DIRECTION = "direction"
    STATUS = "status"
    BLOCKED = "blocked"


# By preference: where a header has several names of one column, the first of them here is it, the others are ignored.
# Compared without case, spaces, punctuation, currencies and what stands in brackets.
SYNONYMS: Final[Mapping[Column, tuple[str, ...]]] = {
    Column.PREFIX: (
        *("prefix", "dial prefix", "destination prefix", "number prefix", "full code", "dial code", "dialing code"),
        *("dialling code", "dest code", "destination code", "code", "codes", "prefixes", "pattern", "breakout"),
        *(
            "dial codes",
            "dialing codes",
            "dialling codes",
            "destination codes",
            "npa nxx",
            "npanxx",
            "npanxxx",
            "npa-nxx-x",
            "dial prefixes",
        ),
        *("called prefix", "number prefixes"),
        *("префикс", "код"),
    ),
    Column.COUNTRY_CODE: ("country_code", "cc", "country prefix", "country dial code", "npa"),
    Column.AREA_CODE: (
        *("area_code", "area codes", "city code", "city codes", "network code", "network codes", "ndc", "nxx"),
    ),
    Column.PRICE_1: ("price_1", "first price", "initial price", "price first", "first interval price"),
    Column.PRICE_N: (
        *("price_n", "next price", "price next", "next interval price", "subsequent price", "additional price"),
    ),
    Column.PRICE: (
        *("price per minute", "rate per minute", "price per min", "rate per min", "price/min", "rate/min"),
        *(
            "per minute",
            "price",
            "rate",
            "sell rate",
            "sell price",
            "selling rate",
            "rate initial",
            "new rate",
            "new price",
        ),
        *("new offer", "offer", "per minute cost", "cost/min", "cost per minute", "cost per min", "rates", "prices"),
        *("buy rate", "buy price", "buying rate", "rate_cost", "cost rate", "your rate", "your price", "offered rate"),
        *("offered price", "minute rate", "minute price", "ppm", "tariff rate", "termination rate"),
        *("current rate", "current price", "charge", "cost", "цена", "стоимость"),
    ),
    Column.PRICE_PEAK: (*("price_peak", "peak rate per minute", "peak rate", "peak price", "rate peak", "peak"),),
    Column.PRICE_OFF_PEAK: (
        *("price_off_peak", "off-peak rate per minute", "off-peak rate", "off-peak price", "rate off-peak"),
        "off-peak",
    ),
    Column.PRICE_WEEKEND: (
        *("price_weekend", "weekend rate per minute", "weekend rate", "weekend price", "rate weekend", "weekend"),
    ),
    Column.PRICE_INTER: (
        *("price_inter", "inter", "interstate", "inter rate", "interstate rate", "rate inter", "rate interstate"),
        *("inter price", "interstate price", "price interstate", "inter state", "inter-state rate", "lrn inter"),
        *("interstate rate per minute", "inter rate per minute", "us inter", "us interstate"),
    ),
    Column.PRICE_INTRA: (
        *("price_intra", "intra", "intrastate", "intra rate", "intrastate rate", "rate intra", "rate intrastate"),
        *("intra price", "intrastate price", "price intrastate", "intra state", "intra-state rate", "lrn intra"),
        *("intrastate rate per minute", "intra rate per minute", "us intra", "us intrastate"),
    ),
    Column.PRICE_INDETERMINATE: (
        *("price_indeterminate", "indeterminate", "indeterminate rate", "rate indeterminate", "indeterminate price"),
        *("indeter", "indeter rate", "indeterm", "indeterm rate", "ind rate", "indet", "indet rate", "ij", "ij rate"),
        *("unknown jurisdiction", "undetermined", "undetermined rate", "indeterminate rate per minute"),
    ),
    Column.PRICE_UNIT: ("price_unit", "price per", "unit", "rate unit"),
    Column.INTERVAL_1: (
        *("interval_1", "first interval", "initial interval", "initial increment", "first increment", "init block"),
        *("initial block", "minimum", "minimum duration", "minimum time", "minimum seconds", "min duration"),
        *("first period", "first increments", "initial increments"),
        *("min time", "min charge seconds", "increment 1", "initial billing increment", "initial period"),
    ),
    Column.INTERVAL_N: (
        *("interval_n", "next interval", "subsequent interval", "next increment", "subsequent increment"),
        *("additional increment", "billing block", "increment n", "increment 2", "interval 2", "recurring interval"),
        *("additional period", "next period", "additional interval", "next increments", "subsequent increments"),
        *("subsequent billing increment", "subsequent period", "step"),
    ),
    Column.INTERVALS: (
        *("intervals", "increments", "billing increments", "increment", "billing increment", "billing interval"),
        *("interval", "billing", "rounding", "rounding rule", "billing terms", "billing rule"),
    ),
    Column.CONNECT_FEE: (
        *("connect_fee", "connection fee", "connect charge", "connection charge", "setup fee", "set up fee"),
        *("setup charge", "call setup fee", "connect cost", "connection cost", "setup", "initial fee"),
    ),
    Column.FREE_SECONDS: ("free_seconds", "free time", "seconds free"),
    Column.GRACE_PERIOD: ("grace_period", "grace", "grace time", "free threshold", "grace seconds"),
    Column.POSTCALL_SURCHARGE: ("postcall_surcharge", "surcharge", "post call surcharge", "disconnect charge"),
    Column.MINIMUM_CHARGE: ("minimum_charge", "min charge", "minimum price", "minimum cost", "minimum fee"),
    Column.EXTRAS: ("extras",),
    Column.ORIGIN: (
        *("origin", "origin prefix", "origin code", "origin codes", "origins", "originating prefix"),
        *("originating code", "calling number prefix", "calling prefix", "a-number prefix", "a-number", "anumbers"),
        *("caller prefix", "caller id prefix", "cli prefix", "cli", "ani prefix", "ani", "source prefix", "src prefix"),
    ),
    Column.BAND: (
        *("band", "time class", "time band", "rate band", "time period", "time of day", "peak/off-peak", "day part"),
        *("time type", "tariff period"),
    ),
    Column.EFFECTIVE_FROM: (
        *("effective_from", "effective date", "effective from date", "effective start date", "rate effective date"),
        *("effective", "effective on", "effective as of", "valid from", "valid from date", "start date", "date from"),
        *("from date", "activation date", "begin date", "действует с", "дата начала"),
    ),
    Column.EFFECTIVE_TO: (
        *("effective_to", "effective to date", "effective end date", "effective until", "effective till", "valid to"),
        *("valid to date", "valid until", "valid till", "end date", "date to", "to date", "expiry date", "expiry"),
        *("expiration date", "expiration", "expires", "expire date", "действует до", "дата окончания"),
    ),
    Column.CURRENCY: ("currency", "currency code", "cur", "ccy"),
    Column.DIRECTION: (
        *("direction", "destination", "destination name", "dest", "dest name", "direction name", "zone", "zone name"),
        *("area name", "code name", "breakout name", "name", "description", "region", "country", "country name"),
        *("destinations", "destination names", "route name"),
        *("направление", "название", "страна"),
    ),
    Column.STATUS: (
        *("status", "rate status", "code status", "availability", "change type", "type of change", "change status"),
        *(
            "change code",
            "code change",
            "rate change",
            "price change",
            "change",
            "changes",
            "action",
            "change indicator",
        ),
        *("state of change", "change description", "trend"),
    ),
    Column.BLOCKED: ("blocked", "block", "is blocked", "barred"),
}

# Beside a country code or an area code, only these are certain to hold the whole prefix; a "code" may lack its country.
WHOLE_PREFIX: Final = (
    *("prefix", "dial prefix", "destination prefix", "number prefix", "full code", "npanxx", "npanxxx", "npa-nxx-x"),
)

# The columns of prices that are for one band, and the band.
BAND_PRICES: Final[Mapping[Column, str]] = {
    Column.PRICE_PEAK: "peak",
    Column.PRICE_OFF_PEAK: "off-peak",
    Column.PRICE_WEEKEND: "weekend",
}

# The columns of prices that are for calls of one jurisdiction, and the origin of their rates: '' is any other call.
JURISDICTION_PRICES: Final[Mapping[Column, str]] = {
    Column.PRICE_INTER: Jurisdiction.INTER,
    Column.PRICE_INTRA: Jurisdiction.INTRA,
    Column.PRICE_INDETERMINATE: "",
}

# By themselves the price of a row.
SOLE_PRICES: Final = (Column.PRICE, Column.PRICE_1, *BAND_PRICES, *JURISDICTION_PRICES)
BY_MINUTE: Final = (Column.PRICE, *BAND_PRICES, *JURISDICTION_PRICES)
PRICES: Final = (Column.PRICE, Column.PRICE_1, Column.PRICE_N, *BAND_PRICES, *JURISDICTION_PRICES)

# Columns whose codes are of the North American plan, without its country code.
NANP_CODES: Final = ("npa", "npa nxx", "npanxx", "npa-nxx-x", "npanxxx", "nxx")
