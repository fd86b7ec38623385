"""The section Email of the index."""

from __future__ import annotations

from typing import Final

from rating_engine.api.mor.declare import MANAGERS, Function, Parameter, Source
from rating_engine.domain.permission import Permission

ENTRIES: Final = (
    Function(
        "email_send",
        Source.RESTATED,
        parameters=(
            Parameter("email_name", required=True),
            Parameter("email_to_user_id"),
        ),
        errors=(
            "Incorrect hash",
            "Bad login",
            "Email not found",
            "User not found",
            "Configuration error. Please consult this help link.",
        ),
        older=("send_email",),
        roles=MANAGERS,
        permission=Permission.MESSAGES,
    ),
)
