"""The cookies: the refresh token of a session, what a browser keeps of having been signed in, and a sign-in that waits
for a code."""

from datetime import datetime, timedelta

from fastapi import Request, Response

from sparkops.api.tokens import DEVICE_LIFETIME
from sparkops.core.config import Settings

COOKIE = "sparkops_refresh"
DEVICE_COOKIE = "sparkops_device"
CHALLENGE_COOKIE = "sparkops_challenge"
PATH = "/api/v1/auth"
MAX_CHARS = 400
"""Longer ones are none of ours."""


def name_of(cookie: str, settings: Settings) -> str:
    """Return the name that a cookie has: over HTTPS one that browsers let nobody set without it."""
    return f"__Secure-{cookie}" if settings.secure_cookies else cookie


def read(request: Request, cookie: str, settings: Settings) -> str | None:
    """Return what the browser sent; None if it sent nothing that could be ours."""
    value = request.cookies.get(name_of(cookie, settings))
    return value if value is not None and len(value) <= MAX_CHARS else None


def keep_refresh(response: Response, settings: Settings, *, token: str, expires_at: datetime, now: datetime) -> None:
    """Have the browser hold a refresh token until its session ends."""
    _keep(response, settings, COOKIE, token, expires_at - now)


def keep_device(response: Response, settings: Settings, *, mark: str) -> None:
    """Have the browser hold that somebody signed in with it."""
    _keep(response, settings, DEVICE_COOKIE, mark, DEVICE_LIFETIME)


def keep_challenge(response: Response, settings: Settings, *, token: str, expires_at: datetime, now: datetime) -> None:
    """Have the browser hold a sign-in that waits for a code."""
    _keep(response, settings, CHALLENGE_COOKIE, token, expires_at - now)


def drop_refresh(response: Response, settings: Settings) -> None:
    """Have the browser forget the refresh token."""
    _drop(response, settings, COOKIE)


def drop_challenge(response: Response, settings: Settings) -> None:
    """Have the browser forget the sign-in that waited."""
    _drop(response, settings, CHALLENGE_COOKIE)


def _drop(response: Response, settings: Settings, cookie: str) -> None:
    response.delete_cookie(
        name_of(cookie, settings), path=PATH, secure=settings.secure_cookies, httponly=True, samesite="strict"
    )


def _keep(response: Response, settings: Settings, cookie: str, value: str, lifetime: timedelta) -> None:
    response.set_cookie(
        name_of(cookie, settings),
        value,
        max_age=max(0, int(lifetime.total_seconds())),
        path=PATH,
        secure=settings.secure_cookies,
        httponly=True,
        samesite="strict",
    )
