"""Settings of who carries out what Asterisk does not."""

from __future__ import annotations

import re
from typing import Final

from pydantic import Field, field_validator

from rating_engine.domain.carrier import parse_carrier
from rating_engine.settings.texts import Group, Texts

_TEMPLATE: Final = re.compile(r"(?P<name>\S{1,64}) (?P<action>[A-Za-z0-9_]{1,64}) https?://[^\s/{}]+(?:/\S*)?")


class ProviderSettings(Group):
    """Carriers of messages, GSM providers, and speech."""

    # --- providers
    message_carriers: Texts = Field(
        (),
        repr=False,
        max_length=100,
        description="Who carries SMS, in the order in which they are tried: NAME KIND [URL] [option=value]."
        " `demo loopback` takes all and sends nothing. `acme http https://sms.example.org/send?from={from}&to={to}&text={text}&ref={id}`"
        " is asked by GET (method=post: by a form), 14 s, 64 KiB, no redirects; an answer of 200 to 299, which matches"
        " ok=REGEX where that is given, has taken it, and its first group, else the whole, is the carrier's id."
        " `where hlr https://…?number={to}` answers sendHLR. `smsc smpp smpp://ID:PASSWORD@HOST:2775`: a transceiver of"
        " the engine that leads. to=49|43: numbers that it serves; the longest prefix counts first. cost=TARIFF:"
        " what it takes, by that tariff's prices of messages. In the environment separated by commas, which a URL"
        " writes %2C.",
    )
    gsm_providers: Texts = Field(
        (),
        repr=False,
        max_length=100,
        description="GSM providers, each action of each: NAME ACTION URL, such as `test sms https://gw.example.org/send"
        "?to={to}&from={from}&text={text}`. What stands in {} is an argument of gsmRequest by its name, URL-encoded,"
        " and is not the host's; where no action is named it is default. By the action sms the provider of a SIM card"
        " is handed notices: {to}, {from}, {text}, {iccid}. Asked by GET, 10 s, 64 KiB, no redirects; what is not"
        " answered 200 has failed. In the environment separated by commas, which a URL writes %2C.",
    )

    webhook_private_hosts: Texts = Field(
        (),
        max_length=100,
        description="Hosts that webhooks of tenants may reach though their address is private, and by http too, such as"
        " `crm.example.internal`. All others have to be public and https: a tenant names the address, and must not"
        " reach what only this machine does.",
    )
    speech_program: str = Field(
        "espeak-ng",
        description="What makes speech of text (createTTS): espeak-ng by its name or path. Empty, or where it is not"
        " installed: there is no speech, and who asks for it is told so at once.",
    )

    voice_directory: str = Field(
        "",
        description="Where spoken messages (sendVoiceMessage) are put as WAV files for the exchange that plays them"
        " (RATING_VOICES of callback.conf), as this machine sees it. Empty: there are none, and who sends one is told"
        " so.",
    )
    voice_file_hosts: Texts = Field(
        (),
        max_length=100,
        description="Hosts whose WAV files spoken messages may be, by https: HOST of a public address, or"
        " HOST=ADDRESS:PORT, which is connected to instead. Empty: texts alone.",
    )

    @field_validator("message_carriers")
    @classmethod
    def _check_message_carriers(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        names = set()
        for place, text in enumerate(value, start=1):
            try:
                name = parse_carrier(text).name
            except ValueError as error:  # the entry is not repeated: a URL may hold a secret
                raise ValueError(f"entry {place}: {error}") from None
            if name in names:
                raise ValueError(f"entry {place}: the name {name} is there before")
            names.add(name)
        return value

    @field_validator("gsm_providers")
    @classmethod
    def _check_gsm_providers(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for place, text in enumerate(value, start=1):
            if not _TEMPLATE.fullmatch(text):  # not repeated: a URL may hold a secret
                raise ValueError(
                    f"entry {place} must be NAME ACTION URL, with http:// or https:// and no {{}} in the host"
                )
        return value
