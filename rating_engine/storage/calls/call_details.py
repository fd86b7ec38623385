"""The record of a call between Python and PostgreSQL: one composite type, call_details of schema.sql.

Law: the fields of CallDetails are those of the type and of the columns of both tables of calls, by name and in their
order (tests/integration/storage/test_call_details.py); what is written here is read back the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import date
from operator import attrgetter
from typing import Any, Final

import asyncpg

from rating_engine.domain.reservation import CallDetails, PackageUse, ResellerPrice

# Sources of CDRs that were written without a finish (schema.sql, end_of_call): expired and not heard of, settled from
# what was seen of the channel, or never started.
PROVISIONAL: Final = frozenset({"expired", "reconciled", "abandoned"})

FIELDS: Final = tuple(field.name for field in fields(CallDetails))
_PACKAGES: Final = FIELDS.index("packages")
_RESELLERS: Final = len(FIELDS) - 1  # the last field; and of a price these, in their order
_PRICE: Final = tuple(field.name for field in fields(ResellerPrice))
_values = attrgetter(*FIELDS)
_price_values = attrgetter(*_PRICE)


def frozen_rate(table: str, key: str, bucket: str) -> str:
    """SQL for the text of a rate whose key a row of `table` has in the column `key`; '' where it has none.

    `bucket`: SQL for the bucket: a parameter where the statement asks one, else the row's own.
    """
    return f"COALESCE((SELECT f.rate FROM frozen_rates f WHERE f.bucket = {bucket} AND f.rate_key = {table}.{key}), '')"  # noqa: S608


def columns_of(table: str, bucket: str) -> str:
    """The fields of a call as columns of a query on `table`, one of the two tables of calls; `bucket` as above."""
    texts = {key.removesuffix("_key"): frozen_rate(table, key, bucket) for key in ("rate_key", "carrier_rate_key")}
    texts["resellers"] = reseller_prices(table, bucket)
    return ", ".join(f"{texts.get(name, f'{table}.{name}')} AS {name}" for name in FIELDS)


def reseller_prices(table: str, bucket: str) -> str:
    """SQL for who pays besides for a call of a row of `table`, with the texts of their rates; `bucket` as above."""
    columns = ", ".join(frozen_rate("l", "rate_key", bucket) if name == "rate" else f"l.{name}" for name in _PRICE)
    return (
        f"CASE WHEN {table}.resellers IS NOT NULL THEN ARRAY("  # noqa: S608
        f"SELECT ({columns}) FROM unnest({table}.resellers) WITH ORDINALITY AS l ORDER BY l.ordinality) END"
    )


def details_args(details: CallDetails) -> tuple[Any, ...]:
    """One call_details of schema.sql."""
    values = _values(details)
    resellers = [_price_values(price) for price in details.resellers] if details.resellers else None
    if not details.packages:
        return (*values[:_RESELLERS], resellers)
    return (*values[:_PACKAGES], packages_args(details.packages), *values[_PACKAGES + 1 : _RESELLERS], resellers)


def packages_args(packages: Sequence[PackageUse]) -> list[tuple[int, date, int]]:
    """One array of package_use of schema.sql."""
    return [(use.package_id, use.period_start, use.seconds) for use in packages]


def details_from_row(row: asyncpg.Record) -> CallDetails:
    """The details of a row that has `columns_of`."""
    values = [row[name] for name in FIELDS]
    values[_PACKAGES] = tuple(PackageUse(*use) for use in values[_PACKAGES])
    values[_RESELLERS] = prices_from(values[_RESELLERS])
    return CallDetails(*values)


def prices_from(resellers: Sequence[Sequence[Any]] | None) -> tuple[ResellerPrice, ...]:
    """Who pays besides, of a column `reseller_prices`."""
    return () if resellers is None else tuple(ResellerPrice(*price) for price in resellers)
