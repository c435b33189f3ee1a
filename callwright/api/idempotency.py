"""`Idempotency-Key`: a repeated request gets the answer of the first one, also after a crash in between."""

import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import BaseModel

from callwright.api import problems
from callwright.api.problems import ApiError
from callwright.api.services import Services
from callwright.domain.errors import Conflict
from callwright.storage import idempotency
from callwright.storage.idempotency import KeyReused

Make = Callable[[str], Awaitable[tuple[str, dict[str, Any]]]]
"""Does the work, harmless to repeat with the same text; returns the call's id and the answer."""


class Idempotency:
    """Remembers answers by API key and Idempotency-Key, for a day."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._running: set[tuple[str, str]] = set()

    async def answer(self, owner: str, key: str, body: BaseModel, make: Make) -> tuple[dict[str, Any], bool]:
        """The answer, and whether it was given before.

        Raises ApiError when the key is in use: for another request, or for this one, which still runs.
        """
        if (owner, key) in self._running:
            raise ApiError(
                problems.KEY_BUSY, "The first request with this key still runs.", headers={"Retry-After": "1"}
            )
        self._running.add((owner, key))
        try:
            return await self._answer(owner, key, body, make)
        finally:
            self._running.discard((owner, key))

    async def _answer(self, owner: str, key: str, body: BaseModel, make: Make) -> tuple[dict[str, Any], bool]:
        database, clock = self._services.database, self._services.clock
        try:
            async with database.write() as conn:
                earlier = await idempotency.claim(conn, key, owner, _fingerprint(body), clock.now())
        except KeyReused as error:
            raise ApiError(problems.KEY_REUSED, "Another request was made with this key.") from error
        except Conflict:
            # A process died, or runs elsewhere, between claim and answer. The work is harmless to repeat.
            earlier = None
        if earlier is not None:
            return earlier.response, True
        attempt_id, response = await make(f"{owner}:{key}")
        async with database.write() as conn:
            await idempotency.remember(conn, key, owner, response=response, attempt_id=attempt_id)
        return response, False


def _fingerprint(body: BaseModel) -> str:
    text = json.dumps(body.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
