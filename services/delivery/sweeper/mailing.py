"""Sends mail through the operator's server: one connection per message, TLS by default."""

import asyncio
from collections.abc import Sequence
from email.message import EmailMessage
from email.utils import format_datetime

import aiosmtplib

from services.delivery.model.attempts import Outcome, Try
from services.delivery.model.channels.mail import Mail
from services.delivery.settings import Settings
from shared.clock import Clock


class Mailer:
    """Implements the mail side of `Channels`."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock

    async def send(self, mail: Mail, recipients: Sequence[str], message_id: str) -> Try:
        """`message_id` is the same when the same mail is sent again."""
        now, time = self._clock.now(), asyncio.get_running_loop().time
        began = time()
        settings = self._settings
        if settings.smtp_host is None:
            return Try(Outcome.UNREACHABLE, now, 0.0, answer=b"ACCORD_DELIVERY_SMTP_HOST is not set")
        message = EmailMessage()
        message["From"] = settings.smtp_from
        message["To"] = ", ".join(recipients)
        message["Subject"] = mail.subject
        message["Date"] = format_datetime(now)
        message["Message-ID"] = f"<{message_id}@{settings.smtp_from.rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(mail.text)
        password = settings.smtp_password
        try:
            refused, answer = await aiosmtplib.send(
                message,
                hostname=settings.smtp_host,
                port=settings.smtp_port,
                username=settings.smtp_username,
                password=None if password is None else password.get_secret_value(),
                use_tls=settings.smtp_tls == "tls",
                start_tls=settings.smtp_tls == "starttls",
                timeout=settings.timeout_seconds,
            )
        except (TimeoutError, aiosmtplib.SMTPTimeoutError):
            return Try(Outcome.TIMED_OUT, now, time() - began)
        except aiosmtplib.SMTPResponseException as error:
            outcome = Outcome.FAILED if 400 <= error.code < 500 else Outcome.REFUSED
            return Try(outcome, now, time() - began, status=error.code, answer=error.message.encode()[:1024])
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            return Try(Outcome.UNREACHABLE, now, time() - began, answer=type(error).__name__.encode())
        said = f"{answer} refused: {', '.join(refused)}" if refused else answer
        return Try(Outcome.DELIVERED, now, time() - began, status=250, answer=said.encode()[:1024])
