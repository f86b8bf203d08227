"""Statements on second factors, recovery codes and challenges."""

from collections.abc import Collection
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import and_, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.core.envelope import Place, Sealed
from sparkops.core.ids import new_id
from sparkops.core.wrapped import Wrapped
from sparkops.domains.identity.factor_models import Challenge, RecoveryCode, SecondFactor
from sparkops.domains.identity.models import User

PRUNED = 10
"""So many challenges that have run out go with each new one."""


def place_of(user_id: UUID, factor_id: UUID) -> Place:
    """Return where a key belongs: a row that was moved to another person, or that was put back, does not open."""
    return Place(None, f"second-factor {user_id} {factor_id}", 1)


async def confirmed_at(session: AsyncSession, *, user_id: UUID) -> datetime | None:
    """Return since when a person has a second factor; None: there is none."""
    found = await session.scalar(select(SecondFactor.confirmed_at).where(SecondFactor.user_id == user_id))
    return found  # noqa: RET504 -- mypy reads a returned `scalar` as Any


async def generation_of(session: AsyncSession, *, email: str) -> str | None:
    """Return a text that changes with the password and the second factor of a user; None: nobody has this address."""
    rows = await session.execute(
        select(User.id, User.password_hash, SecondFactor.id)
        .outerjoin(SecondFactor, and_(SecondFactor.user_id == User.id, SecondFactor.confirmed_at.is_not(None)))
        .where(User.email == email.strip().lower())
    )
    found = rows.tuples().one_or_none()
    return None if found is None else " ".join(map(str, found))


async def locked_factor(session: AsyncSession, *, user_id: UUID) -> SecondFactor | None:
    """Return a person's second factor, confirmed or not, locked until the end of the transaction."""
    found = await session.scalar(
        select(SecondFactor)
        .where(SecondFactor.user_id == user_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return found  # noqa: RET504 -- mypy reads a returned `scalar` as Any


async def add_factor(session: AsyncSession, *, factor_id: UUID, user_id: UUID, sealed: Sealed, now: datetime) -> None:
    """Insert a second factor that has to be confirmed. The person must have none."""
    await session.execute(
        insert(SecondFactor).values(
            id=factor_id,
            user_id=user_id,
            kek_id=sealed.kek_id,
            wrapped_key=sealed.wrapped_key,
            ciphertext=sealed.ciphertext,
            begun_at=now,
        )
    )


async def confirm(session: AsyncSession, *, factor_id: UUID, step: int, now: datetime) -> None:
    """Let a locked factor count from now on."""
    await session.execute(
        update(SecondFactor).where(SecondFactor.id == factor_id).values(confirmed_at=now, last_step=step)
    )


async def spend_step(session: AsyncSession, *, user_id: UUID, step: int) -> bool:
    """Let codes of this step and of those before count no more; False: they do not already."""
    spent = await session.scalar(
        update(SecondFactor)
        .where(SecondFactor.user_id == user_id, SecondFactor.last_step < step)
        .values(last_step=step)
        .returning(SecondFactor.id)
    )
    return spent is not None


async def spend_recovery_code(session: AsyncSession, *, user_id: UUID, code_hash: str, now: datetime) -> bool:
    """Use a recovery code up; False: there is none that has not been used."""
    spent = await session.scalar(
        update(RecoveryCode)
        .where(RecoveryCode.user_id == user_id, RecoveryCode.code_hash == code_hash, RecoveryCode.used_at.is_(None))
        .values(used_at=now)
        .returning(RecoveryCode.id)
    )
    return spent is not None


async def put_recovery_codes(session: AsyncSession, *, user_id: UUID, hashes: Collection[str], now: datetime) -> None:
    """Replace all recovery codes of a person."""
    await session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    await session.execute(
        insert(RecoveryCode).values(
            [{"id": new_id(), "user_id": user_id, "code_hash": one, "created_at": now} for one in hashes]
        )
    )


async def recovery_codes_left(session: AsyncSession, *, user_id: UUID) -> int:
    """Return how many recovery codes a person can still use."""
    left = await session.scalar(
        select(func.count()).where(RecoveryCode.user_id == user_id, RecoveryCode.used_at.is_(None))
    )
    return int(left or 0)


async def remove_factor(session: AsyncSession, *, user_id: UUID) -> bool:
    """Delete a person's second factor with its recovery codes; False: no confirmed one was there."""
    await session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    removed = await session.scalar(
        delete(SecondFactor).where(SecondFactor.user_id == user_id).returning(SecondFactor.confirmed_at)
    )
    return removed is not None


async def add_challenge(session: AsyncSession, *, user_id: UUID, token_hash: str, expires_at: datetime) -> None:
    """Insert a challenge."""
    await session.execute(
        insert(Challenge).values(id=new_id(), user_id=user_id, token_hash=token_hash, expires_at=expires_at)
    )


async def prune_challenges(session: AsyncSession, *, now: datetime) -> None:
    """Take a few challenges away that have run out."""
    old = select(Challenge.id).where(Challenge.expires_at < now).order_by(Challenge.expires_at).limit(PRUNED)
    await session.execute(delete(Challenge).where(Challenge.id.in_(old.with_for_update(skip_locked=True))))


async def challenged(session: AsyncSession, *, token_hash: str, now: datetime) -> User | None:
    """Return whose sign-in waits for a code under this token; None: nobody's."""
    user = await session.scalar(
        select(User)
        .join(Challenge, Challenge.user_id == User.id)
        .where(Challenge.token_hash == token_hash, Challenge.expires_at > now, User.disabled_at.is_(None))
    )
    return user  # noqa: RET504 -- mypy reads a returned `scalar` as Any


async def use_challenge(session: AsyncSession, *, user_id: UUID, token_hash: str, now: datetime) -> bool:
    """Use a challenge of a person up; False: there is none."""
    used = await session.scalar(
        delete(Challenge)
        .where(Challenge.token_hash == token_hash, Challenge.user_id == user_id, Challenge.expires_at > now)
        .returning(Challenge.id)
    )
    return used is not None


async def void_challenges(session: AsyncSession, *, user_id: UUID) -> None:
    """Let no sign-in of a person go on that waits for a code."""
    await session.execute(delete(Challenge).where(Challenge.user_id == user_id))


def sealed_of(factor: SecondFactor) -> Sealed:
    """Return the encrypted key of a factor."""
    return Sealed(factor.kek_id, factor.wrapped_key, factor.ciphertext)


KEYS: Final = Wrapped(
    SecondFactor,
    select(
        SecondFactor.id,
        SecondFactor.kek_id,
        SecondFactor.wrapped_key,
        SecondFactor.ciphertext,
        SecondFactor.user_id,
    ),
    lambda row: place_of(row.user_id, row.id),
)
"""What all second factors hold."""
