"""Why a call ended may be stored after its end: the database was away from the process that knew it."""

import asyncio
from pathlib import Path

import pytest

from callwright.calls.farewell import note_ending
from callwright.calls.writeback import CrmWriter
from callwright.domain.outcome import EndReason, HangUpBy
from callwright.domain.states import CallState
from tests.scenarios.stage import ANSWERS, Stage, StageOptions
from tests.scenarios.test_processes import ADA, ended_call


@pytest.mark.parametrize("state", [CallState.ENDED, CallState.DONE])
@pytest.mark.parametrize("overwrite", [True, False])
@pytest.mark.parametrize("changed", [None, "Called back by us"])
async def test_the_crm_is_told_the_reason_that_came_too_late(
    tmp_path: Path, state: CallState, overwrite: bool, changed: str | None
) -> None:
    """What we wrote before is corrected, even where only empty fields are filled; what people wrote since stays."""
    options = StageOptions(crm={"overwrite": overwrite})
    async with Stage(tmp_path, {ADA: ANSWERS}, options) as stage:
        app = stage.app
        call = await ended_call(stage, state=state, hang_up_by=HangUpBy.US)
        writer = CrmWriter(app.ledger, app.directory, app.process_id)
        async with asyncio.timeout(20):
            while (await writer.write(call, await app.book.of(call))).state != "written":
                await asyncio.sleep(0.1)  # the server has begun to write too
        row = stage.crm.tables.rows["Leads"][stage.record_of[ADA]]
        assert row.values["Call_Outcome"] == "Completed"
        row.values["Call_Outcome"] = changed or "Completed"
        async with app.ledger.open(call.id, "conversation") as entry:
            await note_ending(entry, EndReason.AGENT_FAILED, HangUpBy.AGENT, "its socket broke")
        attempt = await stage.until(call.id)
        story = await stage.story(call.id)
        assert (attempt.end_reason, attempt.crm_state) == (EndReason.AGENT_FAILED, "written"), story
        outcome = stage.crm.record(stage.record_of[ADA])["Call_Outcome"]
        assert outcome == (changed or "Technical problem"), story
        assert len(stage.crm.calls_logged) == 1
