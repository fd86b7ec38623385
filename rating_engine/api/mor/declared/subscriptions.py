"""The section Subscriptions of the index."""

from __future__ import annotations

from typing import Final

from rating_engine.api.mor.declare import MANAGERS, Function, Parameter, Source
from rating_engine.domain.permission import Permission

ENTRIES: Final = (
    Function(
        "subscription_delete",
        Source.RESTATED,
        parameters=(
            Parameter("subscription_id", required=True),
            Parameter("subscription_delete_action", required=True),
        ),
        hashed=("subscription_id", "subscription_delete_action"),
        errors=(
            "Access Denied",
            "You are not authorised to use this functionality",
            "Incorrect hash",
            "Subscription was not found",
            "Subscription delete action was not found",
        ),
        roles=MANAGERS,
        permission=Permission.SERVICES,
        moves_money=True,
    ),
    Function(
        "subscriptions_get",
        Source.RESTATED,
        parameters=(
            Parameter("service_id"),
            Parameter("subscription_activation_start"),
            Parameter("subscription_activation_end"),
            Parameter("subscription_memo"),
            Parameter("subscription_until_canceled"),
            Parameter("user_id"),
        ),
        errors=(
            "No Subscriptions found",
            "Incorrect hash",
            "Access Denied",
        ),
        roles=MANAGERS,
        permission=Permission.SERVICES,
    ),
    Function(
        "subscription_create",
        Source.RESTATED,
        parameters=(
            Parameter("service_id", required=True),
            Parameter("user_id", required=True),
            Parameter("subscription_activation_start"),
            Parameter("subscription_activation_end"),
            Parameter("subscription_memo"),
            Parameter("subscription_until_canceled"),
            Parameter("subscription_no_expiration_at_the_end_of_a_month"),
        ),
        hashed=("service_id", "user_id"),
        errors=(
            "Access Denied",
            "You are not authorised to use this functionality",
            "Incorrect hash",
        ),
        roles=MANAGERS,
        permission=Permission.SERVICES,
        moves_money=True,
    ),
    Function(
        "subscription_update",
        Source.RESTATED,
        parameters=(
            Parameter("subscription_id", required=True),
            Parameter("subscription_activation_start"),
            Parameter("subscription_activation_end"),
            Parameter("subscription_memo"),
            Parameter("subscription_until_canceled"),
            Parameter("subscription_no_expiration_at_the_end_of_a_month"),
        ),
        hashed=("subscription_id",),
        errors=(
            "Access Denied",
            "You are not authorised to use this functionality",
            "Incorrect hash",
            "Subscription was not found",
        ),
        roles=MANAGERS,
        permission=Permission.SERVICES,
    ),
)
