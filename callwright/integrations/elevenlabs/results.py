"""From the platform's conversation object to what was collected; the same object comes by GET and by webhook.

Only `done` and `failed` are final; `analysis` is absent before, and a `value` of null means "not collected"
(GetConversationResponseModel of the REST interface, 2026-08). Whatever is missing or strange is left out.
"""

from collections.abc import Iterator
from typing import Any, Final

from callwright.domain.events import Speaker
from callwright.integrations.elevenlabs import errors
from callwright.ports.voice_agent import ConversationResult, ResultState, Said

_STATES: Final = {"done": ResultState.READY, "failed": ResultState.FAILED}
"""Every other status, known or not, is PENDING."""

_SPEAKERS: Final = {"agent": Speaker.AGENT, "user": Speaker.PERSON}
_LARGEST_NUMBER: Final = 1e9
_SUCCESS: Final = {"success": True, "failure": False}


def conversation_result(conversation_id: str, body: dict[str, Any]) -> ConversationResult:
    """What a conversation object tells. `conversation_id` stands in where the object has none."""
    metadata, analysis = _object(body.get("metadata")), _object(body.get("analysis"))
    state = _STATES.get(str(body.get("status")), ResultState.PENDING)
    turns = list(_turns(body.get("transcript")))
    return ConversationResult(
        conversation_id=str(body.get("conversation_id") or conversation_id),
        state=state,
        collected=collected(analysis),
        summary=str(analysis.get("transcript_summary") or ""),
        successful=_SUCCESS.get(str(analysis.get("call_successful"))),
        transcript=tuple(said for said, _ in turns),
        transcript_ms=tuple(at_ms for _, at_ms in turns),
        duration_s=_number(metadata.get("call_duration_secs")),
        failure=_failure(metadata, failed=state is ResultState.FAILED),
        cost=_cost(metadata),
    )


def gone(conversation_id: str) -> ConversationResult:
    """The platform does not know the conversation: not yet, not any more, or it never began."""
    return ConversationResult(conversation_id, ResultState.GONE)


def never_began(data: dict[str, Any]) -> ConversationResult:
    """A `call_initiation_failure` webhook: the platform's own telephony could not reach the person."""
    reason = str(data.get("failure_reason") or "unknown")
    return ConversationResult(str(data.get("conversation_id") or ""), ResultState.FAILED, failure=reason)


def collected(analysis: dict[str, Any]) -> dict[str, Any]:
    """Field -> raw value, from the object form or, where that is missing, from the list form."""
    found = _object(analysis.get("data_collection_results"))
    if found:
        return {name: _object(item).get("value") for name, item in found.items()}
    items = analysis.get("data_collection_results_list")
    return {
        str(item["data_collection_id"]): item.get("value")
        for item in (items if isinstance(items, list) else [])
        if isinstance(item, dict) and item.get("data_collection_id")
    }


def _turns(transcript: Any) -> Iterator[tuple[Said, int]]:
    """Utterances with their time in ms; turns that only call tools have no message."""
    for number, item in enumerate(transcript if isinstance(transcript, list) else []):
        turn = _object(item)
        speaker = _SPEAKERS.get(str(turn.get("role")))
        text = turn.get("message")
        if speaker is None or not isinstance(text, str) or not text.strip():
            continue
        said = Said(speaker, text.strip(), f"t{number}", interrupted=turn.get("interrupted") is True)
        yield said, int((_number(turn.get("time_in_call_secs")) or 0.0) * 1000)


def _failure(metadata: dict[str, Any], *, failed: bool) -> str:
    error = _object(metadata.get("error"))
    if error:
        parts = (error.get("code"), error.get("error_type"))
        where = " ".join(str(part) for part in parts if part is not None)
        reason = errors.explained(str(error.get("reason") or ""))
        return f"{where}: {reason}" if where and reason else where or reason
    return str(metadata.get("termination_reason") or "failed") if failed else ""


def _cost(metadata: dict[str, Any]) -> dict[str, Any]:
    charging = _object(metadata.get("charging"))
    known = {
        "credits": metadata.get("cost"),
        "fiat": metadata.get("cost_fiat"),
        "call_credits": charging.get("call_charge"),
        "llm_credits": charging.get("llm_charge"),
        "llm_price": charging.get("llm_price"),
    }
    return {name: value for name, value in known.items() if value is not None}


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(value: Any) -> float | None:
    """A number of ordinary size; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= _LARGEST_NUMBER:
        return None
    return float(value)
