"""The doors reach the rows of projects through the wall."""

from pathlib import Path

import sparkops.api

AROUND_IT = {
    "compose.py": "keys of steps by id, of runs that were found through the wall",
    "known.py": "names that never change, kept for all; by ids of rows that were found through the wall",
    "routes/auth.py": "nobody has signed in yet",
    "routes/factor.py": "the caller's own row, which belongs to no project",
    "routes/health.py": "the platform itself",
    "routes/me.py": "the caller's own row, which belongs to no project",
    "routes/oidc.py": "nobody has signed in yet",
    "throttle.py": "nobody has signed in yet; whether this browser is known to the account",
    "routes/people.py": "administrators, who take somebody's second factor away; it belongs to no project",
}
"""Files of the API that open sessions which see every project, each with the reason."""


def test_no_route_opens_a_session_that_sees_every_project() -> None:
    root = Path(sparkops.api.__file__).parent
    found = {
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        if any(way in path.read_text(encoding="utf-8") for way in ("database.sessions", "database.reads"))
    }
    assert found == set(AROUND_IT)


OVER_THE_POOL = {
    "audit.py": "administrators read the trail of all projects; each statement names the project it is asked for",
    "auth.py": "nobody has signed in yet",
    "live.py": "who asks is found out",
    "oidc.py": "nobody has signed in yet",
    "projects.py": "whether a project that is gone had a name, whoever's it was; counts of attempts",
}
"""Files of routes that use connections which see every project, each with the reason."""


def test_no_route_reads_over_connections_that_see_every_project() -> None:
    routes = Path(sparkops.api.__file__).parent / "routes"
    found = {path.name for path in routes.glob("*.py") if "database.pool" in path.read_text(encoding="utf-8")}
    assert found == set(OVER_THE_POOL)
