"""Settings of telephone numbers: what becomes of those whose rent is missing."""

from __future__ import annotations

from pydantic import Field

from rating_engine.settings.texts import Group


class NumberSettings(Group):
    """Rents of numbers."""

    # --- telephone numbers
    did_grace_days: int = Field(
        14,
        ge=0,
        le=365,
        description="How long a number whose next month could not be paid stays its owner's, without taking calls. Each"
        " minute the rent is asked for again; then the number is closed. 0: at once.",
    )
    did_notice_days: int = Field(
        3,
        ge=0,
        le=90,
        description="How long before the end of a paid month its end is said: a line in the log (did_rent_ends) and"
        " in the audit log. 0: when it ends.",
    )
