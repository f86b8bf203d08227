"""Who acts. Doors make principals; services and the engine only read them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from sparkops.core.permissions import INSTALLATION, ROLES, Permission, Role


@dataclass(frozen=True, slots=True)
class Place:
    """A project that somebody belongs to, and as what."""

    id: UUID
    slug: str
    role: Role


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated actor: a person in a session, or a key that somebody made.

    `is_admin` marks an installation administrator. `places` are the projects that this actor may reach, by id; of a
    person all of theirs, of a key those that it was made for. `scopes` None: everything that the roles allow, else no
    more than these. `wants` is what the present request was declared to need of its project. `methods` is how the
    person of a session proved who they are: `password`, `totp`, `recovery`, `oidc`.
    """

    user_id: UUID
    email: str
    name: str
    is_admin: bool
    session_id: UUID | None = None
    key_id: UUID | None = None
    places: Mapping[UUID, Place] = field(default_factory=dict)
    scopes: frozenset[Permission] | None = None
    wants: Permission | None = None
    methods: frozenset[str] = frozenset()

    def may(self, permission: Permission, project_id: UUID | None) -> bool:
        """Say whether this is allowed in a project, or (None) in the whole installation."""
        if self.scopes is not None and permission not in self.scopes:
            return False
        if project_id is None:
            return self.is_admin and permission in INSTALLATION
        place = self.places.get(project_id)
        return place is not None and permission in ROLES[place.role]

    def reach(self, permission: Permission) -> list[UUID]:
        """Return the projects in which this is allowed, for statements that look for nothing elsewhere."""
        return [project_id for project_id in self.places if self.may(permission, project_id)]

    def place(self, slug: str) -> Place | None:
        """Return the project of this slug, or None if this actor does not belong to it."""
        return next((place for place in self.places.values() if place.slug == slug), None)
