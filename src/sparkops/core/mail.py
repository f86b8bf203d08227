"""Mails to people, over the SMTP server of the settings."""

import asyncio
import smtplib
import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from urllib.parse import parse_qs, unquote, urlsplit

from sparkops.core.errors import ConfigError

TIMEOUT_SECONDS = 10.0
SCHEMES = ("smtp", "smtps")
SUBMISSION_PORT, TLS_PORT = 587, 465
MAIL_FAILURES = (smtplib.SMTPException, OSError)
"""The server did not take a mail, or was not there."""


@dataclass(frozen=True, slots=True)
class Mailer:
    """One SMTP server and the sender it is used under.

    `tls`: from the first byte (`smtps`), by STARTTLS before anything else is said (`smtp`), or, where the URL says
    `?starttls=never`, not at all. A server that offers no STARTTLS where it is asked for gets neither password nor
    mail.
    """

    host: str
    port: int
    tls: str
    sender: str
    user: str | None = None
    password: str | None = None

    @classmethod
    def of(cls, url: str, sender: str) -> "Mailer":
        """Read `smtp://user:password@host:587` or `smtps://…:465`.

        Raises:
            ConfigError: the URL is none of these.
        """
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError:
            port = -1
        if parts.scheme not in SCHEMES or not parts.hostname or port == -1:
            raise ConfigError("SPARKOPS_SMTP_URL must look like smtp://user:password@host:587 or smtps://….")
        never = parse_qs(parts.query).get("starttls") == ["never"]
        tls = "first" if parts.scheme == "smtps" else "never" if never else "starttls"
        return cls(
            parts.hostname,
            port or (TLS_PORT if tls == "first" else SUBMISSION_PORT),
            tls,
            sender,
            unquote(parts.username) if parts.username else None,
            unquote(parts.password) if parts.password else None,
        )

    async def send(self, *, to: str, subject: str, text: str) -> None:
        """Hand one mail over, in a thread.

        Raises:
            SMTPException, OSError: the server did not take it.
        """
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = self.sender, to, subject
        message["Date"], message["Message-ID"] = formatdate(), make_msgid(domain=self.sender.rpartition("@")[2])
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(text)
        await asyncio.to_thread(self._send, message)

    def _send(self, message: EmailMessage) -> None:
        with self._connect() as server:
            if self.tls == "starttls":
                server.starttls(context=ssl.create_default_context())
            if self.user is not None:
                server.login(self.user, self.password or "")
            server.send_message(message)

    def _connect(self) -> smtplib.SMTP:
        if self.tls == "first":
            context = ssl.create_default_context()
            return smtplib.SMTP_SSL(self.host, self.port, timeout=TIMEOUT_SECONDS, context=context)
        return smtplib.SMTP(self.host, self.port, timeout=TIMEOUT_SECONDS)
