"""The recording of one call: made where that is possible, and missed without harm where it is not."""

import structlog

from callwright.calls.journal import Journal
from callwright.media.recording import Recording, RecordingStore

log = structlog.get_logger(__name__)

_SAVED_WITHIN_S = 10.0


def begin_recording(store: RecordingStore, journal: Journal) -> Recording | None:
    """A recording of the call; None, noted in the call's log, where there can be none."""
    try:
        recording = store.create(journal.attempt.id)
    except OSError as error:
        log.exception("a call is not recorded")
        journal.note("recording.failed", detail=f"{type(error).__name__}: {error.strerror}")
        return None
    journal.set(recording_path=recording.path.name)
    return recording


async def end_recording(recording: Recording, journal: Journal) -> None:
    """Finish the file; what kept it from being written is noted in the call's log."""
    try:
        await recording.saved(_SAVED_WITHIN_S)
    except TimeoutError:
        log.warning("the recording is still being written", call_id=journal.attempt.id)
    if recording.fault:
        journal.note("recording.failed", detail=recording.fault)
