"""Who comes from an OpenID provider, and what their groups there allow them here.

An account there is tied to a user here once, by a verified e-mail address, and known by issuer and subject from then
on: an address may be given to somebody else later, a subject never is. What groups give, groups take away: at each
sign-in memberships and administration that came from groups are brought up to them. What people gave stays.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import asyncpg

from sparkops.core.errors import Forbidden
from sparkops.core.ids import new_id
from sparkops.core.json import Json
from sparkops.core.permissions import Role
from sparkops.domains.identity.oidc import Claims

RANKS: Final = {role: rank for rank, role in enumerate(reversed(Role))}
"""Roles by what they allow: of several groups the one that allows most counts."""

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended($1 || chr(10) || $2, 0))"
_KNOWN = """
SELECT i.id, i.made_admin, u.id AS user_id, u.email, u.name, u.is_admin, u.disabled_at IS NOT NULL AS disabled
  FROM identities i JOIN users u ON u.id = i.user_id WHERE i.issuer = $1 AND i.subject = $2
"""
_BY_EMAIL = """
SELECT u.id, u.email, u.name, u.is_admin, u.disabled_at IS NOT NULL AS disabled, u.kind,
       EXISTS (SELECT 1 FROM identities i WHERE i.user_id = u.id AND i.issuer = $2) AS tied
  FROM users u WHERE u.email = $1 FOR UPDATE
"""
_ADD_USER = "INSERT INTO users (id, email, name) VALUES ($1, $2, $3)"
_TIE = "INSERT INTO identities (id, user_id, issuer, subject, email) VALUES ($1, $2, $3, $4, $5)"
_SEEN = "UPDATE identities SET email = $2, made_admin = $3, last_sign_in_at = clock_timestamp() WHERE id = $1"
_ADMIN = "UPDATE users SET is_admin = $2 WHERE id = $1"
_MEMBERSHIPS = """
SELECT p.id, p.slug, m.role, m.source
  FROM projects p LEFT JOIN memberships m ON m.project_id = p.id AND m.user_id = $1
 WHERE p.slug = ANY ($2) OR m.source = 'oidc' ORDER BY p.id
"""
_PUT = """
INSERT INTO memberships (project_id, user_id, role, source) VALUES ($1, $2, $3, 'oidc')
ON CONFLICT (project_id, user_id) DO UPDATE SET role = excluded.role WHERE memberships.source = 'oidc'
"""
_TAKE = "DELETE FROM memberships WHERE project_id = $1 AND user_id = $2 AND source = 'oidc'"


class NotLetIn(Forbidden):
    """The provider knows this person, but they may not come in. `reason` is one of a few words that the page knows."""

    code, title = "not-let-in", "You cannot sign in this way"

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Rules:
    """Who is let in, and what groups give. `groups`: by group, the role in each project, by slug."""

    new_users: str
    """`refuse`, `in_groups` or `anybody`: who is let in that nobody has added before."""
    admin_groups: frozenset[str] = frozenset()
    groups: Mapping[str, Mapping[str, Role]] = field(default_factory=dict)

    def roles_of(self, claims: Claims) -> dict[str, Role]:
        """Return by project what the groups of this person give."""
        roles: dict[str, Role] = {}
        for group in claims.groups & self.groups.keys():
            for slug, role in self.groups[group].items():
                if slug not in roles or RANKS[role] > RANKS[roles[slug]]:
                    roles[slug] = role
        return roles

    def makes_admin(self, claims: Claims) -> bool:
        return bool(claims.groups & self.admin_groups)


@dataclass(frozen=True, slots=True)
class Change:
    """Something that the arrival changed, for the audit trail."""

    action: str
    subject: str
    project_id: UUID | None
    detail: Mapping[str, Json]
    before: Mapping[str, Json] | None = None
    after: Mapping[str, Json] | None = None


@dataclass(frozen=True, slots=True)
class Arrival:
    """Who has come, and what changed by it."""

    user_id: UUID
    email: str
    name: str
    is_admin: bool
    changes: list[Change]


@dataclass(frozen=True, slots=True)
class _Person:
    """The user that an account elsewhere is, with the tie between them."""

    identity_id: UUID
    user_id: UUID
    email: str
    name: str
    is_admin: bool
    made_admin: bool


async def arrive(on: "asyncpg.Connection[asyncpg.Record]", issuer: str, claims: Claims, rules: Rules) -> Arrival:
    """Return the user that this account is, made or tied if need be, with what their groups give. In a transaction.

    Raises:
        NotLetIn: they are disabled, nobody knows them and new people are not let in, or their address is not verified
            or belongs to somebody who comes with another account.
    """
    await on.fetchval(_LOCK, issuer, claims.subject)
    changes: list[Change] = []
    person = await _known(on, issuer, claims) or await _tie(on, issuer, claims, rules, changes)
    is_admin = await _administer(on, person, claims, rules, changes)
    await _join_projects(on, person.user_id, rules.roles_of(claims), changes)
    return Arrival(person.user_id, person.email, person.name, is_admin, changes)


async def _known(on: "asyncpg.Connection[asyncpg.Record]", issuer: str, claims: Claims) -> _Person | None:
    row = await on.fetchrow(_KNOWN, issuer, claims.subject)
    if row is None:
        return None
    if row["disabled"]:
        raise _disabled()
    return _Person(row["id"], row["user_id"], row["email"], row["name"], row["is_admin"], row["made_admin"])


async def _tie(
    on: "asyncpg.Connection[asyncpg.Record]", issuer: str, claims: Claims, rules: Rules, changes: list[Change]
) -> _Person:
    """Tie an account that was never seen before to the user of its address, or to a new one."""
    if claims.email is None or not claims.email_verified:
        raise NotLetIn("unverified", "The OpenID provider does not vouch for your e-mail address.")
    await on.fetchval(_LOCK, "address", claims.email)
    row = await on.fetchrow(_BY_EMAIL, claims.email, issuer)
    if row is None:
        user_id, name, is_admin = new_id(), claims.name or claims.email, False
        _check_welcome(claims, rules)
        await on.execute(_ADD_USER, user_id, claims.email, name)
        changes.append(Change("user.create", f"user:{user_id}", None, {"email": claims.email, "by": issuer}))
    else:
        user_id, name, is_admin = row["id"], row["name"], row["is_admin"]
        if row["disabled"]:
            raise _disabled()
        if row["kind"] != "person" or row["tied"]:
            raise NotLetIn("taken", "Your e-mail address belongs to somebody who signs in with another account.")
    identity_id = new_id()
    await on.execute(_TIE, identity_id, user_id, issuer, claims.subject, claims.email)
    tied: dict[str, Json] = {"issuer": issuer, "subject": claims.subject, "email": claims.email}
    changes.append(Change("identity.tie", f"user:{user_id}", None, tied))
    return _Person(identity_id, user_id, claims.email, name, is_admin, made_admin=False)


def _check_welcome(claims: Claims, rules: Rules) -> None:
    grouped = rules.makes_admin(claims) or bool(rules.roles_of(claims))
    if rules.new_users == "anybody" or (rules.new_users == "in_groups" and grouped):
        return
    raise NotLetIn("unknown", "Nobody has added you here; ask an administrator.")


def _disabled() -> NotLetIn:
    return NotLetIn("disabled", "Your account here is disabled; ask an administrator.")


async def _administer(
    on: "asyncpg.Connection[asyncpg.Record]", person: _Person, claims: Claims, rules: Rules, changes: list[Change]
) -> bool:
    """Bring being an administrator up to the groups; return whether they are one now.

    Who was made one by a person stays so, in whatever group.
    """
    wanted = rules.makes_admin(claims)
    by_hand = person.is_admin and not person.made_admin
    await on.execute(_SEEN, person.identity_id, claims.email or person.email, wanted and not by_hand)
    if by_hand or wanted == person.is_admin:
        return person.is_admin
    await on.execute(_ADMIN, person.user_id, wanted)
    changes.append(
        Change(
            "user.admin",
            f"user:{person.user_id}",
            None,
            {"by": "oidc"},
            before={"is_admin": person.is_admin},
            after={"is_admin": wanted},
        )
    )
    return wanted


async def _join_projects(
    on: "asyncpg.Connection[asyncpg.Record]", user_id: UUID, roles: Mapping[str, Role], changes: list[Change]
) -> None:
    """Bring roles that came from groups up to them. Owners are made by people, and stay (`members.put_role`)."""
    for row in await on.fetch(_MEMBERSHIPS, user_id, list(roles)):
        role, before = roles.get(row["slug"]), row["role"]
        if row["source"] == "manual" or role == before:
            continue
        if role is None:
            await on.execute(_TAKE, row["id"], user_id)
        else:
            await on.execute(_PUT, row["id"], user_id, role.value)
        changes.append(
            Change(
                "member.remove" if role is None else "member.put",
                f"user:{user_id}",
                row["id"],
                {"by": "oidc"},
                before={"role": before} if before else None,
                after={"role": role.value} if role else None,
            )
        )
