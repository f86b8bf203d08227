"""Who acts. Doors make principals; services and the engine only read them."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


class Role(StrEnum):
    """Membership in a project. What each may do is narrowed later; today membership itself is the right."""

    OWNER = "owner"
    MEMBER = "member"


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated actor. `is_admin` marks an installation administrator."""

    user_id: UUID
    email: str
    name: str
    is_admin: bool
    session_id: UUID | None = None
