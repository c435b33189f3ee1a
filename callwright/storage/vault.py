"""Credentials and access tokens, encrypted at rest."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from callwright.domain.errors import ConfigurationError, VendorBusy
from callwright.ports.storage import SharedToken
from callwright.storage.database import Database, insert_into
from callwright.storage.schema import secrets, tokens

WAIT_S = 30.0
"""Longest wait for a token that another caller or process is refreshing, in seconds."""

_CANARY = ("callwright", "encryption key")
_REFRESH_S = 25.0
_LOCK = timedelta(seconds=40)
_POLL_S = 0.1

Refresh = Callable[[], Awaitable[SharedToken]]


class Secrets:
    """Vendor facts and credentials, behind ports.storage.SecretStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def check(self) -> None:
        """Raise ConfigurationError when the database was written with another key; call it at the start."""
        known = await self.read(*_CANARY)
        if known is None:
            await self.write(*_CANARY, "sings")

    async def read(self, integration: str, key: str) -> str | None:
        """The stored value, or None; raises ConfigurationError when it was encrypted with another key."""
        statement = select(secrets.c.value).where(secrets.c.integration == integration, secrets.c.key == key)
        async with self._database.read() as conn:
            value: str | None = (await conn.execute(statement)).scalar_one_or_none()
        if value is None:
            return None
        return self._database.cipher.decrypt(value, f"The stored {key} of {integration}")

    async def write(self, integration: str, key: str, value: str) -> None:
        """Store or replace a value."""
        sealed = self._database.cipher.encrypt(value)
        async with self._database.write() as conn:
            statement = insert_into(conn, secrets).values(integration=integration, key=key, value=sealed)
            statement = statement.on_conflict_do_update(
                index_elements=["integration", "key"], set_={"value": sealed}
            )
            await conn.execute(statement)

    async def delete(self, integration: str, key: str) -> None:
        """Forget a value; it is no error if there is none."""
        async with self._database.write() as conn:
            await conn.execute(
                delete(secrets).where(secrets.c.integration == integration, secrets.c.key == key)
            )


class Tokens:
    """Access tokens behind ports.storage.TokenStore: one refresh at a time over all processes.

    Callers of this process share one task; processes exclude each other by a lock in the token's row,
    which expires, so that a process that dies while it refreshes holds nobody up for more than 40 s.
    """

    def __init__(self, database: Database, *, wait_s: float = WAIT_S) -> None:
        """`wait_s` is the longest wait for a refresh by another process, or by another caller of this one."""
        self._database = database
        self._wait_s = wait_s
        self._known: dict[str, SharedToken] = {}
        self._running: dict[str, asyncio.Task[SharedToken]] = {}

    async def get(self, name: str, refresh: Refresh, *, stale: str | None = None) -> SharedToken:
        """The live token, or the result of `refresh` run by exactly one process while others wait.

        `stale` is a token value that the vendor has just refused. Errors of `refresh` reach every caller
        of this process that waits for it; others try in turn, and give up after 30 s with VendorBusy.
        """
        known = self._known.get(name)
        if known is not None and self._usable(known, stale):
            return known
        limit = asyncio.timeout(self._wait_s)
        try:
            async with limit:
                while True:
                    token = await asyncio.shield(self._task(name, refresh, stale))
                    if token.value != stale:
                        return token
        except TimeoutError as error:
            if limit.expired():
                raise VendorBusy(name, f"no access token within {self._wait_s:.0f} s") from error
            raise

    async def close(self) -> None:
        """Stop refreshing; a lock that is held expires by itself."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _task(self, name: str, refresh: Refresh, stale: str | None) -> asyncio.Task[SharedToken]:
        task = self._running.get(name)
        if task is None:
            task = asyncio.create_task(self._obtain(name, refresh, stale), name=f"token {name}")
            self._running[name] = task
            task.add_done_callback(lambda done: self._forget(name, done))
        return task

    def _forget(self, name: str, task: asyncio.Task[SharedToken]) -> None:
        self._running.pop(name, None)
        if not task.cancelled() and task.exception() is None:
            self._known[name] = task.result()

    async def _obtain(self, name: str, refresh: Refresh, stale: str | None) -> SharedToken:
        """The token that another process stored, or that `refresh` gave while we held the lock."""
        holder = uuid.uuid4().hex
        while True:
            async with self._database.write() as conn:
                row = await self._row(conn, name)
                token = self._read(row)
                if token is not None and self._usable(token, stale):
                    return token
                claimed = not self._locked(row)
                if claimed:
                    until = self._database.clock.now() + _LOCK
                    await _update(conn, name, lock_holder=holder, lock_until=until)
            if claimed:
                return await self._refresh(name, holder, refresh)
            await self._released(name)

    async def _refresh(self, name: str, holder: str, refresh: Refresh) -> SharedToken:
        unlocked = {"lock_holder": None, "lock_until": None}
        stored = dict[str, Any](unlocked)
        limit = asyncio.timeout(_REFRESH_S)
        try:
            async with limit:
                token = await refresh()
            value = self._database.cipher.encrypt(token.value)
            stored |= {"value": value, "facts": token.facts, "expires_at": token.expires_at}
            return token
        except TimeoutError as error:
            if limit.expired():
                raise VendorBusy(name, f"no new access token within {_REFRESH_S:.0f} s") from error
            raise
        finally:
            async with self._database.write() as conn:
                await _update(conn, name, tokens.c.lock_holder == holder, **stored)

    async def _released(self, name: str) -> None:
        """Wait until the lock of another process is gone or has expired."""
        statement = select(tokens).where(tokens.c.name == name)
        for _ in range(int(self._wait_s / _POLL_S)):
            await asyncio.sleep(_POLL_S)
            async with self._database.read() as conn:
                row = (await conn.execute(statement)).one()
            if not self._locked(row):
                return
        raise VendorBusy(
            name, f"another process has been refreshing the access token for {self._wait_s:.0f} s"
        )

    async def _row(self, conn: AsyncConnection, name: str) -> Row[Any]:
        statement = insert_into(conn, tokens).values(name=name, facts={})
        await conn.execute(statement.on_conflict_do_nothing(index_elements=["name"]))
        return (await conn.execute(select(tokens).where(tokens.c.name == name).with_for_update())).one()

    def _read(self, row: Row[Any]) -> SharedToken | None:
        if row.value is None:
            return None
        try:
            value = self._database.cipher.decrypt(row.value, f"The access token of {row.name}")
        except ConfigurationError:
            return None  # unlike a credential, a token of another key is simply fetched anew
        return SharedToken(value, row.expires_at, row.facts)

    def _locked(self, row: Row[Any]) -> bool:
        return row.lock_until is not None and row.lock_until > self._database.clock.now()

    def _usable(self, token: SharedToken, stale: str | None) -> bool:
        return token.value != stale and token.expires_at > self._database.clock.now()


async def _update(conn: AsyncConnection, name: str, *where: ColumnElement[bool], **values: Any) -> None:
    await conn.execute(update(tokens).where(tokens.c.name == name, *where).values(**values))
