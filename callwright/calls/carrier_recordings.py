"""Fetches the recording that the carrier made of a call, beside the one that we make ourselves."""

import asyncio
import os
import re
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

import structlog

from callwright.calls.directory import Directory
from callwright.calls.tracking import handle_of
from callwright.domain.agent import AgentDefinition
from callwright.domain.attempt import Attempt
from callwright.domain.errors import VendorAmbiguous, VendorBusy, VendorRefused
from callwright.ports.carrier import CallHandle, Carrier, CarrierRecording, RecordingState
from callwright.ports.clock import Clock

log = structlog.get_logger(__name__)

LONGEST_WAIT = timedelta(hours=1)
"""How long after the end of a call its recording is asked for."""

LARGEST_BYTES = 512 * 1024 * 1024
LONGEST_FETCH_S = 600.0
AT_ONCE = 2
"""Downloads of a process at a time: they must leave line, memory and disk to the calls that run."""

_PLACE_WAIT_S = 20.0
_PLACE_PAUSE_S = 30.0
_SOON = timedelta(minutes=2)
_SOON_PAUSE_S = 5.0
_LATE_PAUSE_S = 60.0
_ENDING = re.compile(r"[a-z0-9]{1,5}")
_PART = ".part"


class CarrierRecordings:
    """Puts finished recordings of carriers into the recordings folder, each once."""

    def __init__(
        self,
        directory: Directory,
        folder: Path,
        clock: Clock,
        *,
        largest_bytes: int = LARGEST_BYTES,
        longest_fetch_s: float = LONGEST_FETCH_S,
    ) -> None:
        self._directory = directory
        self._folder = folder
        self._clock = clock
        self._largest_bytes = largest_bytes
        self._longest_fetch_s = longest_fetch_s
        self._places = asyncio.Semaphore(AT_ONCE)

    async def fetch(self, attempt: Attempt, agent: AgentDefinition) -> str | None:
        """The name of the carrier's recording in the folder, fetched unless it is there; None: there is none.

        Raises VendorBusy with `retry_after_s` while the recording is not ready, VendorRefused when the carrier will
        never give it, and the other VendorError classes when the fetching failed and may be tried again.
        """
        if not agent.carrier_recording or attempt.answered_at is None or attempt.carrier_call_id is None:
            return None
        carrier = self._directory.carrier(attempt.carrier)
        if not carrier.capabilities.recording:
            return None
        known = await asyncio.to_thread(self._kept, attempt.id)
        if known is not None:
            return known
        call = handle_of(attempt, agent.caller_id)
        found = await carrier.recording(call)
        if found.state is RecordingState.PENDING:
            self._wait_or_give_up(attempt, found)
        if found.state is not RecordingState.READY:
            log.info("the carrier has no recording", call_id=attempt.id, detail=found.detail)
            return None
        async with self._place(attempt):
            return await self._download(carrier, call, found)

    @asynccontextmanager
    async def _place(self, attempt: Attempt) -> AsyncIterator[None]:
        """One of the places to download; VendorBusy when none is free soon, so that the rest of the call goes on.

        In the last half of the hour it waits for its turn, which comes: nobody keeps a place for long.
        """
        waited = self._clock.now() - (attempt.ended_at or self._clock.now())
        try:
            async with asyncio.timeout(_PLACE_WAIT_S if waited < LONGEST_WAIT / 2 else None):
                await self._places.acquire()
        except TimeoutError as error:
            text = f"{AT_ONCE} recordings are being fetched"
            raise VendorBusy(attempt.carrier, text, retry_after_s=_PLACE_PAUSE_S) from error
        try:
            yield
        finally:
            self._places.release()

    def _wait_or_give_up(self, attempt: Attempt, found: CarrierRecording) -> None:
        """Raises VendorBusy as long as the recording may still come."""
        now = self._clock.now()
        waited = now - (attempt.ended_at or now)
        if waited < LONGEST_WAIT:
            pause = _SOON_PAUSE_S if waited < _SOON else _LATE_PAUSE_S
            text = f"the recording is not ready: {found.detail}"
            raise VendorBusy(attempt.carrier, text, retry_after_s=pause)

    def _kept(self, attempt_id: str) -> str | None:
        """The file that is there; what a killed process left half done is removed. Blocks."""
        names = []
        for path in self._folder.glob(f"{attempt_id}-carrier*"):
            if path.suffix != _PART:
                names.append(path.name)
            elif time.time() - path.stat().st_mtime > self._longest_fetch_s:
                path.unlink(missing_ok=True)
        return min(names, default=None)

    async def _download(self, carrier: Carrier, call: CallHandle, found: CarrierRecording) -> str:
        if found.size is not None and found.size > self._largest_bytes:
            raise self._too_large(carrier)
        ending = found.format if _ENDING.fullmatch(found.format) else "bin"
        stem = f"{call.attempt_id}-carrier"
        part = self._folder / f"{stem}-{secrets.token_hex(4)}{_PART}"
        file = await asyncio.to_thread(_create, part)
        try:
            try:
                async with asyncio.timeout(self._longest_fetch_s):
                    await self._write(file, carrier, call, found)
            except TimeoutError as error:
                text = f"the recording did not come within {self._longest_fetch_s:g} s"
                raise VendorAmbiguous(carrier.name, text) from error
            name = f"{stem}.{ending}"
            await asyncio.to_thread(_finish, file, part, self._folder / name)
        finally:
            file.close()
            await asyncio.to_thread(part.unlink, missing_ok=True)
        return name

    async def _write(
        self, file: BinaryIO, carrier: Carrier, call: CallHandle, found: CarrierRecording
    ) -> None:
        """Write what comes; raises VendorError when it is nothing, too much, or not what was announced."""
        size = 0
        async for piece in carrier.recorded(call, found):
            size += len(piece)
            if size > self._largest_bytes:
                raise self._too_large(carrier)
            await asyncio.to_thread(file.write, piece)
        if size == 0 or (found.size is not None and size != found.size):
            told = "nothing was announced" if found.size is None else f"{found.size} were announced"
            raise VendorAmbiguous(carrier.name, f"the recording came with {size} bytes, {told}")

    def _too_large(self, carrier: Carrier) -> VendorRefused:
        return VendorRefused(carrier.name, f"the recording has more than {self._largest_bytes} bytes")


def _create(part: Path) -> BinaryIO:
    part.parent.mkdir(parents=True, exist_ok=True)
    return part.open("xb")


def _finish(file: BinaryIO, part: Path, final: Path) -> None:
    """Bring the file to the disk, then give it its name, in one step."""
    file.flush()
    os.fsync(file.fileno())
    part.replace(final)
