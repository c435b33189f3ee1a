"""Conversations that go as they should, and what people do in them."""

import wave
from pathlib import Path
from typing import Any

import pytest

from callwright.domain.outcome import EndReason, HangUpBy
from callwright.domain.states import CallState
from callwright.media.recording import finished
from callwright.simulation.world import PlannedQuestion
from tests.scenarios.stage import ANSWERS, Stage, StageOptions

ADA = "+447700900101"


async def test_a_record_becomes_a_call_and_its_answers_go_back(tmp_path: Path) -> None:
    """The whole way: CRM record, dial, talk through audio alone, results, CRM fields, logged call, note."""
    async with Stage(tmp_path, {ADA: ANSWERS}) as stage:
        call_id = await stage.call(ADA)
        attempt = await stage.until(call_id)
        story = await stage.story(call_id)
        assert (attempt.end_reason, attempt.hang_up_by) == (EndReason.COMPLETED, HangUpBy.AGENT), story
        assert attempt.collected == {"interested": True, "budget": 500, "opt_out": False}, story
        assert (attempt.results_state, attempt.crm_state) == ("ready", "written"), story
        assert attempt.first_word_ms is not None
        lines = [line.text for line in await stage.app.calls.transcript(call_id)]
        assert "500." in lines, lines
        record = stage.crm.record(stage.record_of[ADA])
        assert (record["Interested"], record["Budget"], record["Call_Outcome"]) == (True, 500, "Completed")
        assert len(stage.crm.writes(stage.record_of[ADA])) == 1
        assert [call_id in entry["Description"] for entry in stage.crm.calls_logged] == [True]
        assert len(stage.crm.notes) == 1
        assert stage.carrier.dials_by_phone[ADA] == 1
        assert stage.violations() == []
        conversation = next(iter(stage.engine.conversations.values()))
        assert conversation.hearing.faults == 0, conversation.hearing
        await stage.until_row(call_id, lambda _row: finished(tmp_path / "recordings" / f"{call_id}.wav"))
        with wave.open(str(await stage.app.calls.recording(call_id)), "rb") as recording:
            seconds = recording.getnframes() / recording.getframerate()
            assert recording.getnchannels() == 2
            assert attempt.duration_s is not None
            assert abs(seconds - attempt.duration_s) < 3


@pytest.mark.parametrize(
    "manner, reason, outcome",
    [
        ("busy", EndReason.BUSY, "Busy"),
        ("rejects", EndReason.REJECTED, "Rejected"),
        ("invalid", EndReason.INVALID_NUMBER, "Wrong number"),
        ("unreachable", EndReason.UNREACHABLE, "Unreachable"),
        ("blocked", EndReason.BLOCKED, "Blocked"),
        ("no_answer", EndReason.NO_ANSWER, "No answer"),
    ],
)
async def test_failed_calls_are_logged_in_the_crm(
    tmp_path: Path, manner: str, reason: EndReason, outcome: str
) -> None:
    """Nobody answered: the outcome is recorded, written and logged; no conversation was opened."""
    async with Stage(tmp_path, {ADA: {"manner": manner}}) as stage:
        call_id = await stage.call(ADA)
        attempt = await stage.until(call_id)
        assert (attempt.end_reason, attempt.crm_state) == (reason, "written"), await stage.story(call_id)
        assert attempt.results_state == "none"
        assert stage.crm.record(stage.record_of[ADA])["Call_Outcome"] == outcome
        assert len(stage.crm.calls_logged) == 1
        assert all(conversation.audio_in == 0 for conversation in stage.engine.conversations.values())


async def test_someone_who_hangs_up_at_once(tmp_path: Path) -> None:
    """The conversation ends before it began; that is no fault of the agent's or of the media."""
    async with Stage(tmp_path, {ADA: {"manner": "hangs_up_at_once", "answer_after_ms": 200}}) as stage:
        attempt = await stage.until(await stage.call(ADA))
        assert (attempt.end_reason, attempt.hang_up_by) == (EndReason.COMPLETED, HangUpBy.PERSON)
        assert attempt.crm_state == "written"


async def test_someone_who_says_nothing_is_let_go(tmp_path: Path) -> None:
    """Neither side makes a sound for the agent's limit: the call ends by us."""
    options = StageOptions(limits={"silence_s": 5})
    async with Stage(tmp_path, {ADA: {"manner": "silent", "answer_after_ms": 200}}, options) as stage:
        stage.fault(stage.engine, "socket", "mute")
        attempt = await stage.until(await stage.call(ADA))
        assert (attempt.end_reason, attempt.hang_up_by) == (EndReason.COMPLETED, HangUpBy.LIMIT)
        assert "silence" in attempt.end_detail


async def test_the_longest_call_is_enforced(tmp_path: Path) -> None:
    """Whatever is being said, the limit ends it."""
    options = StageOptions(limits={"longest_call_s": 10, "silence_s": 60})
    talks = {**ANSWERS, "replies": [], "otherwise": "Could you say that again, please, and slowly?"}
    async with Stage(tmp_path, {ADA: talks}, options) as stage:
        attempt = await stage.until(await stage.call(ADA))
        assert attempt.hang_up_by is HangUpBy.LIMIT, attempt
        assert attempt.end_reason is EndReason.COMPLETED


async def test_an_answering_machine_is_hung_up_on(tmp_path: Path) -> None:
    """The carrier detects it; the outcome says so."""
    agent = {"machine_detection": {"enabled": True, "on_machine": "hang_up"}}
    people = {ADA: {"manner": "voicemail", "answer_after_ms": 200}}
    async with Stage(tmp_path, people, StageOptions(agent=agent)) as stage:
        attempt = await stage.until(await stage.call(ADA))
        assert attempt.end_reason is EndReason.MACHINE
        assert stage.carrier.calls_to(ADA)[0].end_code == "MACHINE_DETECTED"


async def test_an_answering_machine_that_may_be_talked_to_is_noted(tmp_path: Path) -> None:
    """The carrier is asked all the same, and the call goes on."""
    agent = {"machine_detection": {"enabled": True, "on_machine": "continue"}}
    people = {ADA: {"manner": "voicemail", "answer_after_ms": 200}}
    async with Stage(tmp_path, people, StageOptions(agent=agent)) as stage:
        call_id = await stage.call(ADA)
        await stage.until_event(call_id, "carrier.machine_detected")
        attempt = await stage.until(call_id)
        assert attempt.end_reason is EndReason.COMPLETED, await stage.story(call_id)


async def test_an_interruption_stops_the_agent(tmp_path: Path) -> None:
    """The person speaks over a question: what was not played is dropped and the transcript is cut."""
    question = PlannedQuestion(
        "budget", "What is your budget for the whole thing, roughly, in pounds?", "integer"
    )
    options = StageOptions(questions=(question,))
    interrupts = [{"when": "What is", "say": "500 pounds.", "after_ms": 900}]
    async with Stage(tmp_path, {ADA: {**ANSWERS, "interrupts": interrupts}}, options) as stage:
        call_id = await stage.call(ADA)
        attempt = await stage.until(call_id)
        conversation = next(iter(stage.engine.conversations.values()))
        assert conversation.interruptions >= 1, conversation.transcript
        lines = await stage.app.calls.transcript(call_id)
        cut = [line.text for line in lines if line.interrupted]
        assert cut, lines
        assert not any("pounds?" in text for text in cut), cut
        assert attempt.collected["budget"] == 500


async def test_an_opt_out_is_kept_and_honoured(tmp_path: Path) -> None:
    """'Do not call me again' suppresses the number at once; the next call is refused by the gate."""
    replies = [{"when": "interested", "say": "No. Please do not call me again."}]
    async with Stage(tmp_path, {ADA: {**ANSWERS, "replies": replies}}) as stage:
        attempt = await stage.until(await stage.call(ADA))
        assert attempt.opted_out
        assert stage.crm.record(stage.record_of[ADA])["Do_Not_Call"] is True
        again = await stage.until(await stage.call(ADA))
        assert again.end_reason is EndReason.NOT_ALLOWED
        assert "suppression" in again.end_detail
        assert stage.carrier.dials_by_phone[ADA] == 1


async def test_the_api_can_hang_up_while_it_rings_and_while_they_talk(tmp_path: Path) -> None:
    """Both ends are recorded as ours."""
    bob = "+447700900102"
    people: dict[str, dict[str, Any]] = {ADA: {"manner": "no_answer"}, bob: ANSWERS}
    async with Stage(tmp_path, people) as stage:
        ringing, talking = await stage.call(ADA), await stage.call(bob)
        await stage.until(ringing, CallState.RINGING)
        await stage.app.calls.hang_up(ringing)
        await stage.until(talking, CallState.TALKING)
        await stage.app.calls.hang_up(talking)
        first, second = await stage.until(ringing), await stage.until(talking)
        assert (first.end_reason, first.hang_up_by) == (EndReason.CANCELED, HangUpBy.API)
        assert second.hang_up_by is HangUpBy.API
        assert not any(call.live for call in stage.carrier.calls.values())


async def test_changed_variables_reach_the_agent_in_mid_call(tmp_path: Path) -> None:
    """Pushed by the API as a contextual update."""
    async with Stage(tmp_path, {ADA: ANSWERS}) as stage:
        call_id = await stage.call(ADA)
        await stage.until(call_id, CallState.TALKING)
        await stage.app.calls.push_context(call_id, {"product": "boiler"})
        await stage.until(call_id)
        conversation = next(iter(stage.engine.conversations.values()))
        assert any("boiler" in str(update) for update in conversation.updates), conversation.updates


async def test_keys_that_the_person_presses_are_logged(tmp_path: Path) -> None:
    """DTMF travels from the phone through the carrier's media socket into the call's log."""
    replies = [{"when": "interested", "say": "Yes.", "digits": "42"}, {"when": "budget", "say": "500."}]
    async with Stage(tmp_path, {ADA: {**ANSWERS, "replies": replies}}) as stage:
        call_id = await stage.call(ADA)
        await stage.until(call_id)
        digits = [
            event.data["digit"] for event in await stage.app.calls.history(call_id) if event.kind == "dtmf"
        ]
        assert digits == ["4", "2"]
