"""What goes wrong in a call: the carrier's media, the agent platform, the CRM. The person is never left in silence."""

from pathlib import Path
from typing import Any

import pytest

from callwright.domain.outcome import EndReason
from callwright.simulation.faults import Fault, FaultKind
from tests.scenarios.stage import ANSWERS, Stage, StageOptions

ADA = "+447700900101"


async def test_a_media_socket_that_dies_is_joined_again(tmp_path: Path) -> None:
    """A new dialog once; the conversation goes on to its end."""
    async with Stage(tmp_path, {ADA: ANSWERS}) as stage:
        stage.fault(stage.carrier, "socket", "dies", seconds=4.0)
        call_id = await stage.call(ADA)
        attempt = await stage.until(call_id)
        kinds = await stage.kinds(call_id)
        assert "media.rejoined" in kinds, await stage.story(call_id)
        assert attempt.end_reason is EndReason.COMPLETED, await stage.story(call_id)


@pytest.mark.parametrize("detail", ["never_connects", "wrong_token", "malformed_first", "silent_first"])
async def test_a_media_socket_that_never_comes_ends_with_an_apology(tmp_path: Path, detail: str) -> None:
    """Two tries; then the carrier's own voice apologises and the call is hung up."""
    async with Stage(tmp_path, {ADA: {"manner": "silent", "answer_after_ms": 100}}) as stage:
        stage.fault(stage.carrier, "socket", detail, times=5)
        call_id = await stage.call(ADA)
        attempt = await stage.until(call_id, within_s=60)
        assert (attempt.end_reason, attempt.crm_state) == (EndReason.MEDIA_FAILED, "written"), (
            await stage.story(call_id)
        )
        assert stage.said_by_carrier(), "the person was left without a word"
        assert stage.people_on_the_line() == []


@pytest.mark.parametrize(
    "detail", ["refuse_3000_quota", "refuse_3000_unknown", "close_1002_mid", "error_flat_mid", "drop_mid"]
)
async def test_an_agent_that_fails_ends_with_an_apology(tmp_path: Path, detail: str) -> None:
    """The vendor's reason is kept with the outcome."""
    async with Stage(tmp_path, {ADA: ANSWERS}) as stage:
        stage.fault(stage.engine, "socket", detail)
        call_id = await stage.call(ADA)
        attempt = await stage.until(call_id, within_s=60)
        assert (attempt.end_reason, attempt.crm_state) == (EndReason.AGENT_FAILED, "written"), (
            await stage.story(call_id)
        )
        assert attempt.end_detail
        assert stage.said_by_carrier()
        assert stage.people_on_the_line() == []


async def test_an_agent_without_quota_is_not_dialled(tmp_path: Path) -> None:
    """Known before: nobody's phone rings."""
    async with Stage(tmp_path, {ADA: ANSWERS}) as stage:
        spent = {"detail": {"status": "quota_exceeded", "message": "You have 0 credits remaining"}}
        stage.engine.faults.add(
            Fault(
                "GET /v1/convai/conversation/get-signed-url",
                FaultKind.STATUS,
                times=9,
                status=401,
                body=spent,
            )
        )
        call_id = await stage.call(ADA)
        attempt = await stage.until(call_id)
        assert attempt.end_reason is EndReason.AGENT_FAILED, await stage.story(call_id)
        assert stage.carrier.dials_by_phone[ADA] == 0
        assert attempt.crm_state == "written"


async def test_an_agent_platform_that_is_busy_is_asked_again_later(tmp_path: Path) -> None:
    """A definite refusal for the moment defers the call; it is dialled once."""
    async with Stage(tmp_path, {ADA: {"manner": "busy"}}) as stage:
        stage.engine.faults.add(
            Fault(
                "GET /v1/convai/conversation/get-signed-url", FaultKind.STATUS, times=4, status=429, body={}
            )
        )
        call_id = await stage.call(ADA)
        attempt = await stage.until(call_id, within_s=40)
        assert attempt.end_reason is EndReason.BUSY, await stage.story(call_id)
        assert "deferred" in await stage.kinds(call_id)
        assert stage.carrier.dials_by_phone[ADA] == 1


async def test_results_that_stay_in_processing_are_completed_later(tmp_path: Path) -> None:
    """The CRM is told what is known; when the results come at last they are written too, once."""
    options = StageOptions(limits={"results_wait_s": 90})
    async with Stage(tmp_path, {ADA: ANSWERS}, options) as stage:
        stage.fault(stage.engine, "socket", "results_stuck", seconds=36.0)
        call_id = await stage.call(ADA)
        await stage.until_row(
            call_id, lambda row: row.results_state == "late" and row.crm_state == "written", within_s=75
        )
        record_id = stage.record_of[ADA]
        assert stage.crm.record(record_id)["Call_Outcome"] == "Completed"
        attempt = await stage.until(call_id, within_s=60)
        assert attempt.results_state == "ready", await stage.story(call_id)
        assert stage.crm.record(record_id)["Budget"] == 500
        assert len(stage.crm.calls_logged) == 1


async def test_results_that_never_come_are_given_up_visibly(tmp_path: Path) -> None:
    """The transcript is kept and the call comes to its end."""
    options = StageOptions(limits={"results_wait_s": 10})
    async with Stage(tmp_path, {ADA: ANSWERS}, options) as stage:
        stage.fault(stage.engine, "socket", "results_stuck")
        call_id = await stage.call(ADA)
        attempt = await stage.until(call_id, within_s=60)
        assert (attempt.results_state, attempt.crm_state) == ("missing", "written"), await stage.story(
            call_id
        )
        assert await stage.app.calls.transcript(call_id)


async def test_results_by_webhook_and_by_polling_are_written_once(tmp_path: Path) -> None:
    """Whichever comes first; a repeated webhook changes nothing."""
    async with Stage(tmp_path, {ADA: ANSWERS}) as stage:
        stage.engine.faults.add(Fault("webhook post_call_transcription", FaultKind.REPEAT))
        call_id = await stage.call(ADA)
        await stage.until(call_id)
        assert (await stage.kinds(call_id)).count("results") <= 2
        assert len(stage.crm.writes(stage.record_of[ADA])) == 1


CRM_FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("PUT /crm/v8/Leads/*", {"kind": FaultKind.STATUS, "status": 500, "body": {"code": "INTERNAL_ERROR"}}),
    ("PUT /crm/v8/Leads/*", {"kind": FaultKind.STATUS, "status": 429, "body": {"code": "TOO_MANY_REQUESTS"}}),
    ("PUT /crm/v8/Leads/*", {"kind": FaultKind.STATUS, "status": 401, "body": {"code": "INVALID_TOKEN"}}),
    ("PUT /crm/v8/Leads/*", {"kind": FaultKind.DROP_BEFORE}),
    ("PUT /crm/v8/Leads/*", {"kind": FaultKind.DROP_AFTER}),
    ("POST /crm/v8/Calls", {"kind": FaultKind.DROP_AFTER}),
    ("POST /crm/v8/Calls", {"kind": FaultKind.STATUS, "status": 500, "body": {"code": "INTERNAL_ERROR"}}),
]


@pytest.mark.parametrize("where, fault", CRM_FAULTS)
async def test_a_crm_that_fails_for_a_moment_gets_everything_once(
    tmp_path: Path, where: str, fault: dict[str, Any]
) -> None:
    """Retried durably; a lost answer does not lead to a second entry."""
    async with Stage(tmp_path, {ADA: {"manner": "busy"}}) as stage:
        stage.crm.faults.add(Fault(where, headers={"Retry-After": "1"}, **fault))
        call_id = await stage.call(ADA)
        attempt = await stage.until(call_id, within_s=40)
        assert attempt.crm_state == "written", await stage.story(call_id)
        assert len(stage.crm.writes(stage.record_of[ADA])) == 1
        assert len(stage.crm.calls_logged) == 1
        assert stage.crm.record(stage.record_of[ADA])["Call_Outcome"] == "Busy"


async def test_a_field_that_is_refused_does_not_block_the_others(tmp_path: Path) -> None:
    """It is reported on the call."""
    async with Stage(tmp_path, {ADA: ANSWERS}) as stage:
        stage.crm.refuse("Leads", "Budget")
        call_id = await stage.call(ADA)
        attempt = await stage.until(call_id)
        assert attempt.crm_state == "partly", await stage.story(call_id)
        assert "Budget" in str(attempt.crm_detail)
        record = stage.crm.record(stage.record_of[ADA])
        assert (record["Interested"], record["Call_Outcome"]) == (True, "Completed")


async def test_what_people_have_filled_in_stays_where_the_mapping_says_so(tmp_path: Path) -> None:
    """The rest is written, and the call tells which fields were left alone."""
    async with Stage(tmp_path, {ADA: ANSWERS}, StageOptions(crm={"overwrite": False})) as stage:
        row = stage.crm.tables.rows["Leads"][stage.record_of[ADA]]
        row.values["Budget"] = 900
        call_id = await stage.call(ADA)
        attempt = await stage.until(call_id)
        record = stage.crm.record(stage.record_of[ADA])
        assert (record["Budget"], record["Interested"]) == (900, True), await stage.story(call_id)
        assert attempt.crm_state == "written"
        assert "Budget" in attempt.crm_detail["record"]["kept"]
