"""The wall between projects: the condition that every query on project-owned rows carries.

Domains may not import each other, so the table of memberships is named here by its columns only.
"""

from uuid import UUID

from sqlalchemy import ColumnElement, column, exists, table
from sqlalchemy.orm import InstrumentedAttribute

from sparkops.core.principal import Principal

_memberships = table("memberships", column("project_id"), column("user_id"))


def visible_to(
    principal: Principal, project_id: InstrumentedAttribute[UUID] | InstrumentedAttribute[UUID | None]
) -> ColumnElement[bool]:
    """Return the condition that the principal may reach the row's project; put it into the same statement."""
    member = exists().where(_memberships.c.project_id == project_id, _memberships.c.user_id == principal.user_id)
    return member if principal.scopes is None else member & project_id.in_(principal.places)
