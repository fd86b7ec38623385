"""The section Rates of the index."""

from __future__ import annotations

from typing import Final

from rating_engine.api.mor.declare import MANAGERS, Function, Parameter, Source
from rating_engine.domain.permission import Permission

ENTRIES: Final = (
    Function(
        "rate_get",
        Source.RESTATED,
        parameters=(
            Parameter("username"),
            Parameter("prefix", required=True),
            Parameter("by_full_dst"),
        ),
        hashed=("username", "prefix"),
        errors=(
            "Rate was not found",
            "User was not found",
            "Feature disabled",
            "Incorrect hash",
        ),
        older=("rate",),
    ),
    Function(
        "tariff_rates_get",
        Source.RESTATED,
        parameters=(
            Parameter("tariff_id"),
            Parameter("user_id"),
        ),
        hashed=("tariff_id", "user_id"),
        errors=(
            "No tariff found",
            "Bad login",
            "Incorrect hash",
        ),
        older=("get_tariff",),
    ),
    Function(
        "tariff_retail_import",
        Source.INFERRED,
        parameters=(Parameter("xml"),),
        errors=(
            "Incorrect hash",
            "Access Denied",
        ),
        older=("import_relail_tariff", "import_retail_tariff"),
        roles=MANAGERS,
        permission=Permission.TARIFFS,
    ),
    Function(
        "tariff_wholesale_update",
        Source.RESTATED,
        parameters=(
            Parameter("id"),
            Parameter("name"),
            Parameter("currency"),
        ),
        hashed=("id", "name", "currency"),
        errors=(
            "Tariff not found",
            "Incorrect hash",
            "Bad login",
        ),
        older=("wholesale_tariff",),
        roles=MANAGERS,
        permission=Permission.TARIFFS,
    ),
)
