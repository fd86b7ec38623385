"""Settings of mail."""

from __future__ import annotations

from typing import Self

from pydantic import Field, field_validator, model_validator

from rating_engine.settings.texts import Group
from rating_engine.settings.urls import check_smtp_url


class MailSettings(Group):
    """The server that mail goes by."""

    # --- mail
    smtp_url: str = Field(
        "",
        repr=False,
        description="Mail server: smtp://USER:PASSWORD@HOST:587 (STARTTLS, refused without), smtps://…:465 (TLS at"
        " once) or smtp+plain://HOST:25 (in clear: for a relay on this machine). In user and password @ is written %40."
        " Empty: mail is queued for a week, and sent by the first engine that has a server.",
    )
    mail_from: str = Field(
        "", description="Address that mail is from, such as billing@example.org. Needed with smtp_url."
    )
    mail_timeout_seconds: float = Field(
        15.0,
        ge=0.1,
        le=300.0,
        description="Deadline of each step with the mail server. Nobody waits for it; servers that check for spam take"
        " some seconds.",
    )

    @field_validator("smtp_url")
    @classmethod
    def _check_smtp_url(cls, value: str) -> str:
        if value:
            check_smtp_url(value)
        return value

    @model_validator(mode="after")
    def _check_sender(self) -> Self:
        if self.smtp_url and "@" not in self.mail_from:
            raise ValueError("mail_from: must be an address while smtp_url is given")
        if not self.mail_from.isprintable():
            raise ValueError("mail_from: must be one address")
        return self
