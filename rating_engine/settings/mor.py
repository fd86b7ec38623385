"""Settings of the MOR XML API."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from pydantic import Field, field_validator

from rating_engine.settings.texts import Group


class MorSettings(Group):
    """What the surface takes, and how it answers."""

    # --- MOR XML API
    mor_allow_get: bool = Field(
        False,
        description="Whether functions are answered by GET. What stands in an address is kept by proxies and browsers,"
        " a hash that is good for ever among it.",
    )
    mor_https_only: bool = Field(
        False,
        description="Whether requests are refused that somebody could listen to: a hash that was seen once is good"
        " again, with other optional parameters too. The document prints http.",
    )
    mor_lenient_hashes: bool = Field(
        False,
        description="Whether weaker hashes count as well, which cover less than the document's rule says: the printed"
        " ones of four functions, and of those that hash what was sent the required parameters alone. Counted in"
        " rating_mor_weak_hashes_total.",
    )
    mor_money_by_post: bool = Field(
        False, description="Whether functions that move money are refused by GET where GET is allowed."
    )
    mor_repeat_seconds: int = Field(
        0,
        ge=0,
        le=86_400,
        description="How long the same request of a function that moves money (its hash and every parameter) is told"
        " what the first one was told, and moves nothing; 0: it is another one, since two equal payments may be meant.",
    )
    mor_telephone_balances: bool = Field(
        False,
        description="Whether the three balances for telephones are answered, which take no hash: whoever knows or"
        " guesses a number reads its balance.",
    )
    mor_conflines: bool = Field(
        False,
        description="Whether conflines_update is answered, by POST and to administrators alone: it changes the secret"
        " that guards it.",
    )
    mor_time_zone: str = Field(
        "UTC",
        description="Of the moments in answers, such as Europe/Vilnius: 2015-11-05 02:00:00 +0200.",
    )

    @field_validator("mor_time_zone")
    @classmethod
    def _check_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (OSError, ValueError):
            raise ValueError(f"{value!r} is no time zone such as Europe/Vilnius") from None
        return value
