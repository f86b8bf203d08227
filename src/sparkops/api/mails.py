"""What mails say, and sending them after the answer."""

from urllib.parse import urlsplit

import structlog

from sparkops.core.mail import MAIL_FAILURES, Mailer
from sparkops.domains.identity.links import LIFETIMES, Link, Purpose

log = structlog.get_logger(__name__)

RESET = """\
Somebody, probably you, asked for a new password at {url}.

Choose it here within {minutes} minutes; the link works once:
{link}

If it was not you, there is nothing to do: your password stays as it is.
"""
INVITE = """\
{who} invites you to Spark-Ops at {url}.

Choose your password here within {days} days; the link works once:
{link}
"""
CHANGED = """\
Your password at {url} was changed, and you were signed out everywhere else.

If it was not you, tell an administrator of it at once.
"""
FACTOR = """\
The second factor of your account at {url} was {what}.

If it was not you, tell an administrator of it at once.
"""


class Mails:
    """The mails of one installation. Its address comes from the settings, never from a request."""

    def __init__(self, mailer: Mailer, public_url: str) -> None:
        self._mailer = mailer
        self._url = public_url

    async def reset(self, *, to: str, link: Link) -> None:
        """Send the link by which a person chooses a new password."""
        minutes = int(LIFETIMES[Purpose.RESET].total_seconds() // 60)
        text = RESET.format(url=self._url, minutes=minutes, link=self._url + link.path)
        await self._send(to, "A new password for Spark-Ops", text)

    async def invite(self, *, to: str, link: Link, who: str) -> None:
        """Send the link by which a new person chooses the first password."""
        text = INVITE.format(who=who, url=self._url, days=LIFETIMES[Purpose.INVITE].days, link=self._url + link.path)
        await self._send(to, "Your invitation to Spark-Ops", text)

    async def changed(self, *, to: str) -> None:
        """Tell a person that the password was changed."""
        await self._send(to, "Your password for Spark-Ops was changed", CHANGED.format(url=self._url))

    async def factor(self, *, to: str, what: str) -> None:
        """Tell a person what became of the second factor."""
        await self._send(to, f"Your second factor for Spark-Ops was {what}", FACTOR.format(url=self._url, what=what))

    async def _send(self, to: str, subject: str, text: str) -> None:
        try:
            await self._mailer.send(to=to, subject=subject, text=text)
        except (*MAIL_FAILURES, ValueError) as error:
            # Not the words of the error: servers repeat addresses and more in them.
            log.warning("mail.failed", error=type(error).__name__, domain=urlsplit(f"//{to}").hostname)
