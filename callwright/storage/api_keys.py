"""API keys: shown once when they are made, afterwards only their SHA-256 is known."""

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from callwright.storage.database import changed
from callwright.storage.schema import api_keys

PREFIX = "cw_"
_SECRET_BYTES = 32
_TOUCH_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is known of a key; not the key itself."""

    id: str
    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None

    def due_for_touch(self, now: datetime) -> bool:
        """Whether its last use was noted so long ago that it should be noted again."""
        return self.last_used_at is None or now - self.last_used_at >= _TOUCH_EVERY


async def create(
    conn: AsyncConnection, name: str, scopes: Iterable[str], now: datetime
) -> tuple[ApiKey, str]:
    """Make a key; returns it with its secret, which nobody can find out later."""
    secret = PREFIX + secrets.token_urlsafe(_SECRET_BYTES)
    key = ApiKey(f"key_{secrets.token_hex(8)}", name, tuple(sorted(set(scopes))), now, None, None)
    await conn.execute(
        insert(api_keys).values(
            id=key.id, name=name, hash=_digest(secret), scopes=list(key.scopes), created_at=now
        )
    )
    return key, secret


async def verify(conn: AsyncConnection, secret: str) -> ApiKey | None:
    """The key that this is the secret of, unless it was revoked."""
    if not secret.startswith(PREFIX):
        return None
    digest = _digest(secret)
    statement = select(api_keys).where(api_keys.c.hash == digest, api_keys.c.revoked_at.is_(None))
    row = (await conn.execute(statement)).one_or_none()
    if row is None or not hmac.compare_digest(row.hash, digest):
        return None
    return _read(row)


async def touch(conn: AsyncConnection, key_id: str, now: datetime) -> None:
    """Note that a key was used, to the minute."""
    stale = or_(api_keys.c.last_used_at.is_(None), api_keys.c.last_used_at <= now - _TOUCH_EVERY)
    await conn.execute(update(api_keys).where(api_keys.c.id == key_id, stale).values(last_used_at=now))


async def revoke(conn: AsyncConnection, key_id: str, now: datetime) -> bool:
    """Refuse a key from now on; False when there is none or it was revoked before."""
    live = api_keys.c.revoked_at.is_(None)
    return (
        await changed(conn, update(api_keys).where(api_keys.c.id == key_id, live).values(revoked_at=now)) == 1
    )


async def listing(conn: AsyncConnection) -> list[ApiKey]:
    """Every key, the revoked ones too, oldest first."""
    statement = select(api_keys).order_by(api_keys.c.created_at, api_keys.c.id)
    return [_read(row) for row in await conn.execute(statement)]


def _digest(secret: str) -> str:
    # 256 random bits need no slow hash: there is nothing to guess.
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _read(row: Row[Any]) -> ApiKey:
    return ApiKey(row.id, row.name, tuple(row.scopes), row.created_at, row.last_used_at, row.revoked_at)
