"""After the call: what the agent platform collected becomes typed, checked and stored with the call."""

from typing import Any

from callwright.calls.ledger import Entry
from callwright.domain.agent import AgentDefinition
from callwright.domain.errors import InvalidInput
from callwright.domain.events import TranscriptLine
from callwright.domain.fields import coerce
from callwright.ports.voice_agent import ConversationResult, ResultState
from callwright.storage import suppressions, transcripts

OPT_OUT_FIELD = "opt_out"
"""A collected yes/no field of this name puts the number on the suppression list."""

NONE, PENDING, LATE, READY, FAILED, MISSING = "none", "pending", "late", "ready", "failed", "missing"
SETTLED = frozenset({NONE, READY, FAILED, MISSING})
"""Values of `results_state` after which no more results are waited for. `none`: there was no conversation."""


async def store(entry: Entry, agent: AgentDefinition, result: ConversationResult) -> bool:
    """Store results that have come, once; False when they had been stored before."""
    if result.state not in {ResultState.READY, ResultState.FAILED} or entry.attempt.results_state in {
        READY,
        FAILED,
    }:
        return False
    collected, missing, rejected = classify(agent, result.collected)
    opted_out = entry.attempt.opted_out or collected.get(OPT_OUT_FIELD) is True
    state = READY if result.state is ResultState.READY else FAILED
    await entry.note(
        "results",
        state=state,
        collected=collected,
        missing=missing,
        rejected=rejected,
        failure=result.failure,
        cost=result.cost,
    )
    await entry.set(
        collected=collected,
        missing=missing,
        summary=result.summary or entry.attempt.summary,
        successful=result.successful,
        opted_out=opted_out,
        results_state=state,
        crm_detail={**entry.attempt.crm_detail, **({"rejected_values": rejected} if rejected else {})},
    )
    if opted_out:
        await suppress(entry)
    await _complete_transcript(entry, result)
    return True


def classify(agent: AgentDefinition, raw: dict[str, Any]) -> tuple[dict[str, Any], list[str], dict[str, str]]:
    """Typed values, names of required fields without one, and values that do not fit their type, with why."""
    collected: dict[str, Any] = {}
    missing: list[str] = []
    rejected: dict[str, str] = {}
    for declared in agent.collect:
        try:
            value = coerce(declared, raw.get(declared.name))
        except ValueError as error:
            rejected[declared.name] = f"{raw.get(declared.name)!r}: {error}"
            value = None
        if value is not None:
            collected[declared.name] = value
        elif declared.required:
            missing.append(declared.name)
    return collected, missing, rejected


async def suppress(entry: Entry, *, reason: str = "asked not to be called", source: str = "call") -> None:
    """Put the person's number on the suppression list: they do not want to be called."""
    phone, evidence = entry.attempt.phone, entry.attempt.id
    try:
        await suppressions.add(
            entry.conn, phone, reason=reason, source=source, now=entry.now(), evidence=evidence
        )
    except InvalidInput as error:
        await entry.note("fault", detail=f"{phone} could not be suppressed: {error}")
    await entry.note("opt_out", dedup_key="opt_out", phone=phone, reason=reason)


async def _complete_transcript(entry: Entry, result: ConversationResult) -> None:
    """Take the platform's transcript where ours is missing or was cut short by a crash."""
    ours = await transcripts.lines(entry.conn, entry.attempt.id)
    if len(ours) >= len(result.transcript):
        return
    have = {(line.speaker, line.text) for line in ours}
    lines = [
        TranscriptLine(f"platform-{said.key}", said.speaker, said.text, at_ms, said.interrupted)
        for said, at_ms in zip(result.transcript, result.transcript_ms, strict=False)
        if (said.speaker, said.text) not in have
    ]
    await transcripts.put(entry.conn, entry.attempt.id, lines)
