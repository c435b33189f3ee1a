"""Nothing waits for ever: faults whose note the database refuses, results that come late, a CRM that gives in later."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, text

from callwright.calls.finishing import MOST_FAULTS
from callwright.calls.ledger import TimerKind
from callwright.domain.errors import Conflict
from callwright.domain.events import Speaker, TranscriptLine
from callwright.domain.outcome import EndReason
from callwright.domain.states import CallState, Signal
from callwright.simulation.faults import Fault, FaultKind
from callwright.storage import attempts, inbox, transcripts
from callwright.storage.schema import metadata, transcript_lines
from tests.scenarios.stage import ANSWERS, Stage, StageOptions

ADA = "+447700900101"
BUSY = {"manner": "busy"}


@asynccontextmanager
async def refusing(stage: Stage, *kinds: str) -> AsyncIterator[None]:
    """Let the database refuse events of these kinds, as a full disk or a broken table would."""
    names = ", ".join(f"'{kind}'" for kind in kinds)
    if stage.app.database.is_sqlite:
        make = f"""CREATE TRIGGER refuse BEFORE INSERT ON call_events WHEN NEW.kind IN ({names})
            BEGIN SELECT RAISE(ABORT, 'refused'); END"""
        drop = "DROP TRIGGER refuse"
    else:
        make = f"""CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF NEW.kind IN ({names}) THEN RAISE EXCEPTION 'refused'; END IF; RETURN NEW; END $$;
            CREATE TRIGGER refuse BEFORE INSERT ON call_events FOR EACH ROW EXECUTE FUNCTION refuse()"""
        drop = "DROP TRIGGER refuse ON call_events; DROP FUNCTION refuse"
    await _run(stage, make)
    try:
        yield
    finally:
        await _run(stage, drop)


async def _run(stage: Stage, statements: str) -> None:
    for statement in statements.split(";\n") if stage.app.database.is_sqlite else [statements]:
        async with stage.app.database.write() as conn:
            await conn.execute(text(statement))


async def failed_workflows(stage: Stage, workflow_id: str, within_s: float = 20.0) -> None:
    """Wait until a workflow is over."""
    deadline = time.monotonic() + within_s
    while not await stage.app.workflows.is_over(workflow_id):
        assert time.monotonic() < deadline, f"{workflow_id} is not over"
        await asyncio.sleep(0.05)


async def test_a_queued_call_whose_fault_could_not_be_noted_is_dialled_later(
    tmp_path: Path, database_url: str
) -> None:
    """The step fails, the note of its fault fails, the workflow ends in an error: the call goes on all the same."""
    async with Stage(tmp_path, {ADA: BUSY}, StageOptions(database_url=database_url)) as stage:
        async with refusing(stage, "prepared", "fault"):
            call_id = await stage.call(ADA)
            await failed_workflows(stage, f"dial-{call_id}-0")
            assert (await stage.app.calls.get(call_id)).state is CallState.QUEUED
        attempt = await stage.until(call_id, within_s=40)
        assert attempt.end_reason is EndReason.BUSY, await stage.story(call_id)
        assert stage.carrier.dials_by_phone[ADA] == 1
        assert attempt.crm_state == "written"


async def test_an_ended_call_whose_fault_could_not_be_noted_is_written_later(
    tmp_path: Path, database_url: str
) -> None:
    """The same after the call: its outcome reaches the CRM, once."""
    async with Stage(tmp_path, {ADA: BUSY}, StageOptions(database_url=database_url)) as stage:
        async with refusing(stage, "crm", "fault"):
            call_id = await stage.call(ADA)
            await failed_workflows(stage, f"finish-{call_id}-0", within_s=40)
            assert (await stage.app.calls.get(call_id)).state is CallState.ENDED
        attempt = await stage.until(call_id, within_s=60)
        assert attempt.crm_state == "written", await stage.story(call_id)
        assert len(stage.crm.writes(stage.record_of[ADA])) == 1
        assert len(stage.crm.calls_logged) == 1


async def test_finishing_that_always_fails_ends_visibly(tmp_path: Path) -> None:
    """After eight rounds the call is done, and says that the CRM was not told."""
    async with Stage(tmp_path, {ADA: BUSY}) as stage:
        async with refusing(stage, "crm"):
            call_id = await stage.call(ADA)
            for failures in range(1, MOST_FAULTS):
                await stage.until_event(call_id, "fault", failures=failures)
                await soon(stage, call_id)
            attempt = await stage.until(call_id)
        assert attempt.crm_state == "failed", await stage.story(call_id)
        assert attempt.crm_detail["error"]
        await stage.app.calls.write_again(call_id)
        await stage.until_row(call_id, lambda row: row.crm_state == "written")
        assert len(stage.crm.calls_logged) == 1


async def soon(stage: Stage, call_id: str) -> None:
    """Let the call's next round begin now instead of after its pause."""
    async with stage.app.ledger.open(call_id, "test") as entry:
        await entry.timer(TimerKind.FINISH, 0)


async def test_results_that_come_after_the_wait_are_written_too(tmp_path: Path) -> None:
    """The call was done without them; it is opened again, and the CRM gets what was said."""
    options = StageOptions(limits={"results_wait_s": 10})
    async with Stage(tmp_path, {ADA: ANSWERS}, options) as stage:
        stage.fault(stage.engine, "socket", "results_stuck", seconds=28.0)
        call_id = await stage.call(ADA)
        done = await stage.until(call_id, within_s=60)
        assert (done.results_state, done.crm_state) == ("missing", "written"), await stage.story(call_id)
        record = stage.crm.record(stage.record_of[ADA])
        assert record["Call_Outcome"] == "Completed"
        assert record.get("Budget") is None
        attempt = await stage.until_row(
            call_id, lambda row: row.state is CallState.DONE and row.results_state == "ready", within_s=60
        )
        assert stage.crm.record(stage.record_of[ADA])["Budget"] == 500, await stage.story(call_id)
        assert attempt.ended_at == done.ended_at
        assert len(stage.crm.calls_logged) == 1


async def test_what_the_crm_refused_can_be_written_again(tmp_path: Path) -> None:
    """The operator mends the CRM and says so; nothing is written twice."""
    async with Stage(tmp_path, {ADA: BUSY}) as stage:
        record_id = stage.record_of[ADA]
        stage.crm.refuse("Leads", "Call_Outcome")
        call_id = await stage.call(ADA)
        with pytest.raises(Conflict, match="still being written"):
            await stage.app.calls.write_again(call_id)
        attempt = await stage.until(call_id)
        assert attempt.crm_state == "partly", await stage.story(call_id)
        stage.crm.state.refusals.clear()
        await stage.app.calls.write_again(call_id)
        attempt = await stage.until_row(call_id, lambda row: row.crm_state == "written", within_s=20)
        assert stage.crm.record(record_id)["Call_Outcome"] == "Busy"
        assert len(stage.crm.calls_logged) == 1
        await stage.until(call_id)
        with pytest.raises(Conflict, match="has taken all"):
            await stage.app.calls.write_again(call_id)


async def test_while_dialling_is_held_nobody_is_dialled(tmp_path: Path, database_url: str) -> None:
    """It holds across a restart; what was queued goes on when it is released."""
    options = StageOptions(database_url=database_url)
    async with Stage(tmp_path, {ADA: BUSY}, options) as stage:
        await stage.app.calls.hold("the numbers are being checked")
        call_id = await stage.call(ADA)
        await stage.stop_app()
        await stage.start_app()
        hold = await stage.app.calls.held()
        assert hold is not None
        assert hold.reason == "the numbers are being checked"
        await stage.app.sweeper._sweep()
        assert (await stage.app.calls.get(call_id)).state is CallState.QUEUED
        assert stage.carrier.dials_by_phone[ADA] == 0
        assert await stage.app.calls.release()
        assert not await stage.app.calls.release()
        assert (await stage.until(call_id)).end_reason is EndReason.BUSY


async def test_what_people_said_is_deleted_everywhere(tmp_path: Path, database_url: str) -> None:
    """Nothing of it is left after that time but the outcome and the typed answers."""
    words = "Are you still interested?"
    options = StageOptions(database_url=database_url, environment={"KEEP_TRANSCRIPTS_DAYS": "1"})
    async with Stage(tmp_path, {ADA: ANSWERS}, options) as stage:
        call_id = await stage.call(ADA)
        done = await stage.until(call_id)
        assert done.collected, await stage.story(call_id)
        await until_stored(stage, "inbox", words)
        await stage.app.sweeper._purge()
        assert {"call_events", "inbox", "transcript_lines"} <= await tables_with(stage, words)
        async with stage.app.ledger.open(call_id, "test") as entry:
            assert entry.attempt.ended_at is not None
            await entry.set(ended_at=entry.attempt.ended_at - timedelta(days=2))
        await stage.app.sweeper._purge()
        assert await tables_with(stage, words) == set()
        kept = await stage.app.calls.get(call_id)
        assert (kept.collected, kept.end_reason) == (done.collected, done.end_reason)
        assert "crm" in await stage.kinds(call_id)


async def until_stored(stage: Stage, table: str, words: str, within_s: float = 20.0) -> None:
    """Wait until these words are in a table: webhooks come when they like, and are applied a moment later."""
    deadline = time.monotonic() + within_s
    while table not in await tables_with(stage, words) or await waiting(stage):
        assert time.monotonic() < deadline, f"{words} is not in {table}"
        await asyncio.sleep(0.05)


async def waiting(stage: Stage) -> int:
    async with stage.app.database.read() as conn:
        return await inbox.waiting(conn)


async def tables_with(stage: Stage, words: str) -> set[str]:
    """The tables in which these words can be found."""
    async with stage.app.database.read() as conn:
        rows = {
            table.name: [tuple(row) for row in await conn.execute(select(table))]
            for table in metadata.sorted_tables
        }
    return {name for name, found in rows.items() if words in str(found)}


async def test_others_write_while_old_data_is_deleted(tmp_path: Path, database_url: str) -> None:
    """The first purge after years is long; each of its transactions is short, and calls go on in between."""
    options = StageOptions(database_url=database_url, environment={"KEEP_TRANSCRIPTS_DAYS": "1"})
    async with Stage(tmp_path, {ADA: BUSY}, options) as stage:
        first = await stage.app.calls.get(await stage.call(ADA))
        await stage.until(first.id)
        then = first.created_at - timedelta(days=400)
        async with stage.app.database.write() as conn:
            for number in range(220):
                old = replace(
                    first, id=f"{number:025x}", state=CallState.DONE, crm=None, ended_at=then, done_at=then
                )
                await attempts.insert(conn, old)
                await transcripts.put(conn, old.id, [TranscriptLine("1", Speaker.PERSON, "Hello?", 0)])
        purge = asyncio.create_task(stage.app.sweeper._purge())
        left = []
        while not purge.done():
            async with stage.app.database.write() as conn:
                left.append(
                    (await conn.execute(select(func.count()).select_from(transcript_lines))).scalar_one()
                )
        await purge
        assert any(0 < count < 220 for count in left), left
        assert await tables_with(stage, "Hello?") == set()


async def test_a_retry_reads_its_record_again(tmp_path: Path) -> None:
    """The number and the name were corrected in the CRM between the tries; what the caller gave stays."""
    eve = "+447700900102"
    options = StageOptions(agent={"retry": {"busy": {"after_s": 60}}})
    async with Stage(tmp_path, {ADA: BUSY, eve: ANSWERS}, options) as stage:
        call_id = await stage.call(ADA, variables={"product": "valve"})
        await stage.until_event(call_id, "carrier.ended")
        stage.crm.tables.rows["Leads"][stage.record_of[ADA]].values.update(Mobile=eve, First_Name="Eve")
        first = await stage.until(call_id)
        retry = await stage.until_event(call_id, "retry")
        async with stage.app.ledger.open(retry.data["call_id"], "test") as entry:
            await entry.set(not_before=entry.now())
        second = await stage.until(retry.data["call_id"], within_s=60)
        assert (first.phone, second.phone) == (ADA, eve), await stage.story(second.id)
        assert second.variables["first_name"] == "Eve"
        assert second.variables["product"] == "valve"
        assert second.agent_version == first.agent_version


async def test_a_call_that_waits_reads_its_record_again(tmp_path: Path) -> None:
    """What changed in the CRM meanwhile counts, the number too; what the caller gave stays."""
    eve = "+447700900102"
    async with Stage(tmp_path, {ADA: BUSY, eve: ANSWERS}) as stage:
        busy = Fault("GET /v1/convai/conversation/get-signed-url", FaultKind.STATUS, status=429, body={})
        busy.times = 4
        stage.engine.faults.add(busy)
        call_id = await stage.call(ADA, variables={"product": "valve"})
        await stage.until_event(call_id, "deferred")
        stage.crm.tables.rows["Leads"][stage.record_of[ADA]].values.update(Mobile=eve, First_Name="Eve")
        async with stage.app.ledger.open(call_id, "test") as entry:
            assert entry.attempt.record_read_at is not None
            await entry.set(record_read_at=entry.now() - timedelta(minutes=11))
        attempt = await stage.until(call_id, within_s=60)
        assert attempt.phone == eve, await stage.story(call_id)
        assert attempt.variables["first_name"] == "Eve"
        assert attempt.variables["product"] == "valve"
        assert stage.carrier.dials_by_phone[ADA] == 0


async def test_a_conversation_is_deleted_although_the_platform_is_busy(tmp_path: Path) -> None:
    """The deletion is tried again until it is done."""
    engine = {"platform": "elevenlabs", "agent_id": "agent_demo", "delete_conversation": True}
    async with Stage(tmp_path, {ADA: ANSWERS}, StageOptions(agent={"engine": engine})) as stage:
        stage.engine.faults.add(
            Fault("DELETE /v1/convai/conversations/*", FaultKind.STATUS, status=429, body={}, times=3)
        )
        call_id = await stage.call(ADA)
        await stage.until_event(call_id, "conversation.not_deleted")
        assert stage.engine.conversations
        await stage.until(call_id, within_s=60)
        assert not stage.engine.conversations, await stage.story(call_id)
        assert "conversation.deleted" in await stage.kinds(call_id)


async def test_a_leg_of_a_call_that_is_over_here_is_ended_with_an_apology(tmp_path: Path) -> None:
    """Given up here, answered all the same: the person hears why nobody speaks, and the line is free again."""
    async with Stage(tmp_path, {ADA: {"manner": "silent", "answer_after_ms": 2500}}) as stage:
        call_id = await stage.call(ADA)
        await stage.until(call_id, CallState.RINGING)
        hang_up = Fault("POST /calls/1/calls/*/hangup", FaultKind.STATUS, status=503, body={})
        stage.carrier.faults.add(hang_up)
        async with stage.app.ledger.open(call_id, "test") as entry:
            await entry.move(Signal.END, end_reason=EndReason.CARRIER_ERROR)
        await stage.until_event(call_id, "late_leg", over=True, within_s=60)
        assert stage.people_on_the_line() == []
        assert stage.said_by_carrier(), await stage.story(call_id)
        assert hang_up.hits == 1
        attempt = await stage.until(call_id)
        assert attempt.end_reason is EndReason.CARRIER_ERROR
