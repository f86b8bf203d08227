"""Signing in at an OpenID provider."""

from sparkops.api.views.base import View


class OidcSignIn(View):
    """Whether people may sign in at an OpenID provider; send the browser to `/api/v1/auth/oidc/start` then."""

    enabled: bool
    label: str | None
    """What the button says after "Sign in with"."""
