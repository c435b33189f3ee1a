"""What Infobip tells about the recording of one call (PublicCallRecording), in our words. Pure."""

import re
from collections.abc import Mapping
from typing import Any

from callwright.ports.carrier import CarrierRecording, RecordingState

_FORMATS = {"WAV": "wav", "MP3": "mp3"}
_FILE_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")


def understand(told: Mapping[str, Any] | None) -> CarrierRecording:
    """The recording that begins first of those that can be had; `told` is None for an answer of 404.

    404 means both "not yet" and "never". A file that went to the account's own SFTP server cannot be had here.
    """
    if told is None:
        return CarrierRecording(RecordingState.PENDING, detail="Infobip knows no recording of the call")
    listed = told.get("files")
    files = [file for file in listed if isinstance(file, dict)] if isinstance(listed, list) else []
    ready = [file for file in files if _can_be_had(file)]
    if ready:
        first = min(ready, key=lambda file: str(file.get("startTime") or ""))
        size = first.get("size")
        return CarrierRecording(
            RecordingState.READY,
            file_id=str(first["id"]),
            format=_FORMATS[str(first["fileFormat"])],
            size=size if isinstance(size, int) and not isinstance(size, bool) else None,
        )
    if told.get("status") == "FAILED" or files:
        return CarrierRecording(RecordingState.NONE, detail=_why(told, files))
    return CarrierRecording(RecordingState.PENDING, detail="the recording has no files yet")


def _can_be_had(file: Mapping[str, Any]) -> bool:
    return (
        bool(_FILE_ID.fullmatch(str(file.get("id") or "")))
        and file.get("fileFormat") in _FORMATS
        and file.get("location") != "SFTP"
    )


def _why(told: Mapping[str, Any], files: list[dict[str, Any]]) -> str:
    if told.get("status") == "FAILED":
        return f"Infobip could not record: {told.get('reason') or 'no reason given'}"
    if any(file.get("location") == "SFTP" for file in files):
        return "the recording went to the SFTP server of the Infobip account"
    return "the recording has no file of a known format"
