"""What an agent may do beside talking: HTTP tools, a transfer to a human; and what follows a call."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from callwright.domain.outcome import EndReason, HangUpBy
from callwright.domain.states import CallState
from tests.scenarios.stage import ANSWERS, Stage, StageOptions

ADA = "+447700900101"
HUMAN = "+447700900190"


@asynccontextmanager
async def tool_server(answer: dict[str, Any], seen: list[bytes]) -> AsyncIterator[str]:
    """A small HTTP server that answers every request with JSON; yields its URL."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
        )
        seen.append(await reader.readexactly(length))
        body = json.dumps(answer).encode()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n")
        writer.write(b"content-length: %d\r\n\r\n%s" % (len(body), body))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/slots"


async def test_an_http_tool_is_called_and_its_answer_goes_back(tmp_path: Path) -> None:
    """The agent asks for free slots in mid-call; our operator's server answers."""
    seen: list[bytes] = []
    async with tool_server({"slot": "10:00"}, seen) as url:
        options = StageOptions(agent={"tools": [{"name": "free_slots", "url": url}]})
        async with Stage(tmp_path, {ADA: ANSWERS}, options) as stage:
            call_id = await stage.call(ADA)
            await stage.until(call_id, CallState.TALKING)
            (conversation_id,) = stage.engine.conversations
            stage.engine.call_tool(conversation_id, "free_slots", {"day": "monday"})
            await stage.until(call_id)
            assert json.loads(seen[0]) == {"day": "monday"}
            conversation = stage.engine.conversations[conversation_id]
            results = [result for line in conversation.transcript for result in line.tool_results]
            assert [result["result_value"] for result in results] == ['{"slot": "10:00"}']


async def results_of(folder: Path, tool: dict[str, Any], arguments: dict[str, Any]) -> list[dict[str, Any]]:
    """What the agent was told when it called a tool in mid-call; the call itself went well."""
    async with Stage(folder, {ADA: ANSWERS}, StageOptions(agent={"tools": [tool]})) as stage:
        call_id = await stage.call(ADA)
        await stage.until(call_id, CallState.TALKING)
        (conversation_id,) = stage.engine.conversations
        stage.engine.call_tool(conversation_id, tool["name"], arguments)
        attempt = await stage.until(call_id)
        assert attempt.end_reason is EndReason.COMPLETED, await stage.story(call_id)
        lines = stage.engine.conversations[conversation_id].transcript
        return [result for line in lines for result in line.tool_results]


async def test_arguments_that_do_not_fit_are_told_to_the_agent(tmp_path: Path) -> None:
    """The operator's server is not asked."""
    seen: list[bytes] = []
    schema = {"type": "object", "required": ["day"], "properties": {"day": {"enum": ["monday"]}}}
    async with tool_server({"slot": "10:00"}, seen) as url:
        tool = {"name": "free_slots", "url": url, "parameters": schema}
        (result,) = await results_of(tmp_path, tool, {"day": "sunday"})
        assert result["is_error"]
        assert "day must be one of monday" in result["result_value"]
        assert seen == []


async def test_an_answer_without_end_is_cut(tmp_path: Path) -> None:
    """The agent gets the first 16 KiB, and the server's connection is closed."""
    closed = asyncio.Event()

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=unheard-of\r\n\r\n")
        with suppress(OSError):
            while True:
                writer.write(b"more and " * 1000)
                await writer.drain()
        closed.set()

    async with await asyncio.start_server(pour, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        (result,) = await results_of(tmp_path, {"name": "free_slots", "url": url, "method": "GET"}, {})
        assert len(result["result_value"]) == 16_384
        assert not result["is_error"]
        async with asyncio.timeout(5):
            await closed.wait()


async def test_a_fault_in_a_tool_is_told_to_the_agent(tmp_path: Path) -> None:
    """A header that cannot be sent: the agent hears of an error instead of waiting."""
    tool = {"name": "free_slots", "url": "http://127.0.0.1:9/", "headers": {"x-name": "Zoë"}}
    (result,) = await results_of(tmp_path, tool, {})
    assert result["is_error"]
    assert "failed" in result["result_value"]


async def test_an_unknown_tool_is_answered_with_an_error(tmp_path: Path) -> None:
    """The agent is told; the call goes on."""
    async with Stage(tmp_path, {ADA: ANSWERS}) as stage:
        call_id = await stage.call(ADA)
        await stage.until(call_id, CallState.TALKING)
        (conversation_id,) = stage.engine.conversations
        stage.engine.call_tool(conversation_id, "make_coffee", {})
        attempt = await stage.until(call_id)
        assert attempt.end_reason is EndReason.COMPLETED
        conversation = stage.engine.conversations[conversation_id]
        results = [result for line in conversation.transcript for result in line.tool_results]
        assert [result["is_error"] for result in results] == [True]


async def test_a_person_who_wants_a_human_is_connected(tmp_path: Path) -> None:
    """The agent asks for the transfer; the person's leg is joined with the human's."""
    replies = [{"when": "interested", "say": "I want to speak to a human."}]
    people = {ADA: {**ANSWERS, "replies": replies}, HUMAN: {"manner": "answers", "answer_after_ms": 300}}
    options = StageOptions(agent={"handover_number": HUMAN}, limits={"silence_s": 60})
    async with Stage(tmp_path, people, options) as stage:
        call_id = await stage.call(ADA)
        await stage.until(call_id, CallState.TALKING)
        await stage.until_event(call_id, "handover")
        await stage.until_event(call_id, "carrier.answered", leg="human")
        assert [call.e164 for call in stage.carrier.calls_to(HUMAN)] == [HUMAN]
        await stage.app.calls.hang_up(call_id)
        attempt = await stage.until(call_id)
        assert attempt.end_reason is EndReason.COMPLETED, await stage.story(call_id)
        assert stage.people_on_the_line() == []


async def test_when_the_human_hangs_up_the_call_is_over(tmp_path: Path) -> None:
    """The person is not left on a dead line."""
    replies = [{"when": "interested", "say": "I want to speak to a human."}]
    people = {
        ADA: {**ANSWERS, "replies": replies},
        HUMAN: {"manner": "hangs_up_at_once", "answer_after_ms": 300},
    }
    async with Stage(tmp_path, people, StageOptions(agent={"handover_number": HUMAN})) as stage:
        call_id = await stage.call(ADA)
        attempt = await stage.until(call_id, within_s=45)
        assert (attempt.end_reason, attempt.hang_up_by) == (EndReason.COMPLETED, HangUpBy.HUMAN)
        assert stage.people_on_the_line() == []


async def test_when_no_human_answers_the_agent_comes_back(tmp_path: Path) -> None:
    """The human's phone is busy: the media socket is joined again and the conversation goes on."""
    replies = [{"when": "interested", "say": "I want to speak to a human.", "times": 1}, *ANSWERS["replies"]]
    people = {ADA: {**ANSWERS, "replies": replies}, HUMAN: {"manner": "busy"}}
    async with Stage(tmp_path, people, StageOptions(agent={"handover_number": HUMAN})) as stage:
        call_id = await stage.call(ADA)
        attempt = await stage.until(call_id, within_s=60)
        kinds = await stage.kinds(call_id)
        assert "handover.failed" in kinds, await stage.story(call_id)
        assert attempt.end_reason is EndReason.COMPLETED, await stage.story(call_id)
        assert stage.people_on_the_line() == []


async def test_a_retry_rule_plans_the_next_attempt_once(tmp_path: Path) -> None:
    """Busy: one new attempt, later, linked to this one."""
    options = StageOptions(agent={"retry": {"busy": {"after_s": 3600, "attempts": 2}}})
    async with Stage(tmp_path, {ADA: {"manner": "busy"}}, options) as stage:
        call_id = await stage.call(ADA)
        first = await stage.until(call_id)
        rows, _ = await stage.app.calls.search(phone=ADA)
        following = [row for row in rows if row.previous_id == call_id]
        assert [(row.state, row.attempt_number) for row in following] == [(CallState.QUEUED, 2)]
        assert first.ended_at is not None
        assert (following[0].not_before - first.ended_at).total_seconds() > 3500


async def test_the_remote_conversation_is_deleted_if_asked(tmp_path: Path) -> None:
    """After its results were collected."""
    engine = {"platform": "elevenlabs", "agent_id": "agent_demo", "delete_conversation": True}
    async with Stage(tmp_path, {ADA: ANSWERS}, StageOptions(agent={"engine": engine})) as stage:
        attempt = await stage.until(await stage.call(ADA))
        assert attempt.results_state == "ready"
        assert not stage.engine.conversations


async def test_the_whole_way_on_either_database(tmp_path: Path, database_url: str) -> None:
    """SQLite and PostgreSQL: the same call, the same outcome."""
    async with Stage(tmp_path, {ADA: ANSWERS}, StageOptions(database_url=database_url)) as stage:
        call_id = await stage.call(ADA)
        attempt = await stage.until(call_id)
        assert (attempt.end_reason, attempt.crm_state) == (EndReason.COMPLETED, "written"), await stage.story(
            call_id
        )
        assert attempt.collected == {"interested": True, "budget": 500, "opt_out": False}
