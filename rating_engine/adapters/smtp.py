"""Mail sent by SMTP (aiosmtplib).

Laws: neither password nor mail goes over a line in clear unless the setting says so; what a server refuses for good,
what may go later, and that no mail goes now are told apart.
"""

from __future__ import annotations

import ssl
from email.message import EmailMessage
from email.utils import formatdate
from urllib.parse import unquote, urlsplit

import aiosmtplib

from rating_engine.domain.mail import Mail
from rating_engine.services.support.outbox import MailRefused, MailServerAway

PORTS = {"smtp": 587, "smtps": 465, "smtp+plain": 25}


class Smtp:
    """One mail server. `url`: smtp:// (STARTTLS), smtps:// (TLS at once) or smtp+plain:// (none)."""

    def __init__(self, url: str, *, sender: str, timeout_seconds: float) -> None:
        parts = urlsplit(url)
        self._scheme = parts.scheme
        self._host = parts.hostname or ""
        self._port = parts.port or PORTS[parts.scheme]
        self._user = unquote(parts.username) if parts.username else None
        self._password = unquote(parts.password) if parts.password else None
        self._sender = sender
        self._timeout = timeout_seconds

    async def send(self, mail: Mail) -> None:
        """Hand one mail to the server. Errors: MailRefused, MailServerAway."""
        try:
            await aiosmtplib.send(
                self._message(mail),
                hostname=self._host,
                port=self._port,
                username=self._user,
                password=self._password,
                use_tls=self._scheme == "smtps",
                start_tls=self._scheme == "smtp",
                timeout=self._timeout,
            )
        except aiosmtplib.SMTPRecipientsRefused as error:
            worst = max(error.recipients, key=lambda each: each.code)
            raise MailRefused(f"{worst.code} {worst.message}", for_good=worst.code >= 500) from None
        except (aiosmtplib.SMTPSenderRefused, aiosmtplib.SMTPDataError) as error:
            raise MailRefused(f"{error.code} {error.message}", for_good=error.code >= 500) from None
        except aiosmtplib.SMTPAuthenticationError as error:
            raise MailServerAway(f"does not let us in: {error.code}") from None
        except (
            aiosmtplib.SMTPServerDisconnected,
            aiosmtplib.SMTPReadTimeoutError,
        ) as error:  # this mail's doing, maybe
            raise MailRefused(f"{type(error).__name__}: {error}", for_good=False) from None
        except (aiosmtplib.SMTPException, ssl.SSLError, OSError) as error:  # its words have no password
            raise MailServerAway(f"{type(error).__name__}: {error}") from None

    def _message(self, mail: Mail) -> EmailMessage:
        message = EmailMessage()
        message["From"] = self._sender
        message["To"] = mail.recipient
        message["Subject"] = mail.subject
        message["Date"] = formatdate(mail.created_at.timestamp())
        message["Message-ID"] = f"<{mail.token}@{self._sender.rpartition('@')[2]}>"  # the same when it is sent again
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(mail.body)
        if mail.attachment is not None:
            message.add_attachment(
                mail.attachment, maintype="application", subtype="pdf", filename=mail.attachment_name
            )
        return message
