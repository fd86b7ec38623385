"""Settings of exchanges that are steered over ARI: where they are, and how their calls are put through."""

from __future__ import annotations

from pydantic import Field, field_validator

from agi.ari.address import parse_address
from rating_engine.settings.texts import Group, Texts


class AriSettings(Group):
    """Exchanges over ARI."""

    # --- ARI
    ari_exchanges: Texts = Field(
        (),
        repr=False,
        description="Exchanges whose calls the engine holds itself, over Asterisk's REST interface:"
        " NAME=ari://USER:SECRET@HOST:PORT, with ?tls=1 (and &ca=FILE) over TLS, ?seats=2 for more than some hundred"
        " calls at a time. NAME is what their calls are known by, and none of ami_exchanges. In the environment"
        " separated by commas. Needs Asterisk 20.14, 21.9, 22.4 or newer and config/asterisk/rating-ari.conf.",
    )
    ari_technology: str = Field(
        "PJSIP",
        pattern=r"^[A-Za-z0-9]{1,20}$",
        description="Channel technology of trunks: a call goes to TECHNOLOGY/<route prefix><number>@<route name>.",
    )
    ari_attempts: int = Field(
        3, ge=1, le=20, description="Routes tried for one call, at most; the engine knows when there are no more."
    )
    ari_ring_seconds: int = Field(60, ge=5, le=600, description="How long one route may ring.")
    ari_silence_seconds: int = Field(
        15,
        ge=1,
        le=60,
        description="A route that neither rings nor has sound nor answers within this gives way to the next one. Calls"
        " abroad may take ten seconds until they ring.",
    )
    ari_early_media: bool = Field(
        True,
        description="Callers hear what the far end plays before it answers. False: they are connected at the answer,"
        " and hear nothing before; then nobody is connected by an engine that has died.",
    )
    ari_tolerance_ms: int = Field(
        200,
        ge=0,
        le=999,
        description="A begun second is charged once so many of its milliseconds have passed, as RATING_TOLERANCE_MS of"
        " the dialplan: the exchange takes some to set up and to clear a call.",
    )
    ari_announcements: Texts = Field(
        (),
        max_length=64,
        description="What a refused caller hears before he is hung up: REASON=SOUND of the reasons in docs/asterisk.md,"
        " such as insufficient_funds=custom/no-money, and =SOUND for all others; several sounds as a&b. It is played"
        " without answering, where Asterisk can (20.16, 21.11, 22.6). In the environment separated by commas.",
    )

    ari_transfers: bool = Field(
        True,
        description="Phones may transfer the calls that they pay for, where Asterisk can: 20.18, 22.8, 23.2 or newer."
        " Until 20.21, 22.11, 23.5 a phone that says Refer-Sub: false with it ends Asterisk: false refuses all"
        " transfers.",
    )
    ari_low_balance_sound: str = Field(
        "",
        max_length=200,
        description="What a caller hears before it rings where his balance is below what his user asked to be told of"
        " (user set --warn-calls), such as custom/little-left; several sounds as a&b. Empty: nothing.",
    )

    @field_validator("ari_exchanges")
    @classmethod
    def _check_ari_exchanges(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        names = [parse_address(text).exchange for text in value]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"names {sorted(twice)[0]} twice")
        return value

    @field_validator("ari_announcements")
    @classmethod
    def _check_announcements(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := next((text for text in value if "=" not in text or text.endswith("=")), None):
            raise ValueError(f"{wrong!r} is none such as insufficient_funds=custom/no-money or =custom/sorry")
        return value
