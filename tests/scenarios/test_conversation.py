"""Conversations that go as they should."""

from pathlib import Path

from callwright.domain.outcome import EndReason, HangUpBy
from callwright.domain.states import CallState
from tests.scenarios.stage import ANSWERS, Stage

ADA = "+447700900101"


async def test_a_record_becomes_a_call_and_its_answers_go_back(tmp_path: Path) -> None:
    """The whole way: CRM record, dial, talk through audio alone, results, CRM fields, logged call, note."""
    async with Stage(tmp_path, {ADA: ANSWERS}) as stage:
        call_id = await stage.call(ADA)
        attempt = await stage.until(call_id)
        story = await stage.story(call_id)
        assert attempt.end_reason is EndReason.COMPLETED, story
        assert attempt.hang_up_by is HangUpBy.AGENT, story
        assert attempt.collected == {"interested": True, "budget": 500, "opt_out": False}, story
        assert (attempt.results_state, attempt.crm_state) == ("ready", "written"), story
        lines = [line.text for line in await stage.app.calls.transcript(call_id)]
        assert any("Are you still interested" in line for line in lines), lines
        assert "500." in lines
        assert attempt.state is CallState.DONE
