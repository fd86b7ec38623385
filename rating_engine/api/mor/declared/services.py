"""The section Services of the index."""

from __future__ import annotations

from typing import Final

from rating_engine.api.mor.declare import MANAGERS, Function, Parameter, Source
from rating_engine.domain.permission import Permission

ENTRIES: Final = (
    Function(
        "service_create",
        Source.INFERRED,
        parameters=(
            Parameter("service_name", required=True),
            Parameter("service_type", required=True),
            Parameter("service_sell_price"),
            Parameter("service_self_cost"),
            Parameter("service_period"),
            Parameter("service_minutes_per_month"),
            Parameter("service_quantity"),
        ),
        hashed=("service_name", "service_type"),
        errors=(
            "Service Type is invalid",
            "Quantity must be numeric",
            "Quantity must be greater than zero",
            "You are not authorized to use this functionality",
            "Access Denied",
            "Service was not selected",
            "Incorrect hash",
        ),
        roles=MANAGERS,
        permission=Permission.SERVICES,
    ),
    Function(
        "service_delete",
        Source.INFERRED,
        parameters=(Parameter("service_id", required=True),),
        hashed=("service_id",),
        errors=(
            "Service was not found",
            "You are not authorized to use this functionality",
            "Access Denied",
            "Incorrect hash",
        ),
        roles=MANAGERS,
        permission=Permission.SERVICES,
    ),
    Function(
        "services_get",
        Source.RESTATED,
        errors=(
            "You are not authorized to use this functionality",
            "Access Denied",
            "Incorrect hash",
        ),
        roles=MANAGERS,
        permission=Permission.SERVICES,
    ),
    Function(
        "service_update",
        Source.RESTATED,
        parameters=(
            Parameter("service_id", required=True),
            Parameter("service_name"),
            Parameter("service_type"),
            Parameter("service_sell_price"),
            Parameter("service_self_cost"),
            Parameter("service_period"),
            Parameter("service_minutes_per_month"),
            Parameter("service_quantity"),
        ),
        hashed=("service_id",),
        errors=(
            "Service Type is invalid",
            "Quantity must be numeric",
            "Quantity must be greater than zero",
            "You are not authorized to use this functionality",
            "Access Denied",
            "Service was not selected",
            "Incorrect hash",
        ),
        roles=MANAGERS,
        permission=Permission.SERVICES,
    ),
)
