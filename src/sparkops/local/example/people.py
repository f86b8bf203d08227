"""The people of the example: who starts runs is the administrator; a second person answers their questions."""

from dataclasses import dataclass

from sparkops.core.config import Settings
from sparkops.core.db import open_database
from sparkops.core.errors import Conflict
from sparkops.domains.identity.service import create_user
from sparkops.local.errors import StartError
from sparkops.local.paths import DataDir

APPROVER_EMAIL = "approver@example.com"


@dataclass(frozen=True, slots=True)
class Login:
    """How one of them signs in."""

    email: str
    password: str


def administrator(settings: Settings, data: DataDir) -> Login:
    """Return the first administrator's login, as it was when the stack first started.

    Raises:
        StartError: its password is no longer known here.
    """
    if settings.admin_password is not None:
        return Login(settings.admin_email, settings.admin_password.get_secret_value())
    if not data.admin_password.exists():
        raise StartError(
            f"The example is set up as {settings.admin_email}, whose password is no longer in {data.admin_password}; "
            "give it in SPARKOPS_ADMIN_PASSWORD."
        )
    return Login(settings.admin_email, data.admin_password.read_text(encoding="utf-8").strip())


async def ensure_approver(database_url: str, data: DataDir) -> Login:
    """Return the second person's login, made when it is asked for the first time."""
    login = Login(APPROVER_EMAIL, data.secret("approver.password"))
    async with open_database(database_url, name="sparkops example", pool_size=1) as database:
        try:
            async with database.sessions.begin() as session:
                await create_user(session, email=login.email, name="Approver", password=login.password, is_admin=False)
        except Conflict:
            pass
    return login
