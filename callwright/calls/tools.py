"""Client tools of the agent: the operator's own HTTP tools, and the hand-over to a human."""

import asyncio
import codecs
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import structlog

from callwright.domain.agent import AgentDefinition, HttpTool
from callwright.domain.json_schema import value_problems
from callwright.ports.voice_agent import ToolCalled

log = structlog.get_logger(__name__)

TRANSFER = "transfer_to_human"
"""The tool name by which an agent asks for a human."""

_LARGEST_ANSWER = 16_384
_MOST_AT_ONCE = 8

Answer = Callable[[str, str, bool], None]
"""Gives tool_call_id, result and is_error back to the agent."""


class HttpTools:
    """Runs HTTP tools; one client for all calls of the process."""

    def __init__(self) -> None:
        self._client = httpx2.AsyncClient(trust_env=False, follow_redirects=False, timeout=None)

    async def run(self, agent: AgentDefinition, called: ToolCalled, call_id: str) -> tuple[str, bool]:
        """The tool's answer as text, and whether it is an error. Does not raise for what a tool does wrong."""
        tool = next((tool for tool in agent.tools if tool.name == called.name), None)
        if tool is None:
            return f"there is no tool named {called.name}", True
        problems = value_problems(tool.parameters, called.parameters)
        if problems:
            return f"the tool {tool.name} was not called: {'; '.join(problems)}", True
        try:
            async with asyncio.timeout(tool.timeout_s):
                return await self._request(tool, called.parameters, call_id), False
        except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError) as error:
            log.warning("a tool failed", tool=tool.name, error=f"{type(error).__name__}: {error}")
            return f"the tool {tool.name} did not answer", True

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def _request(self, tool: HttpTool, parameters: dict[str, Any], call_id: str) -> str:
        """The answer's first 16 KiB; the rest is not even received."""
        headers = {**tool.headers, "X-Callwright-Call": call_id}
        content: dict[str, Any] = {"params": parameters} if tool.method == "GET" else {"json": parameters}
        async with self._client.stream(tool.method, tool.url, headers=headers, **content) as response:
            response.raise_for_status()
            body = b""
            async for part in response.aiter_bytes():
                body += part
                if len(body) >= _LARGEST_ANSWER:
                    break
            text = body[:_LARGEST_ANSWER].decode(_charset(response), errors="replace")
            return text or json.dumps({"status": response.status_code})


def _charset(response: httpx2.Response) -> str:
    try:
        return codecs.lookup(response.charset_encoding or "utf-8").name
    except LookupError:
        return "utf-8"


class ToolDesk:
    """Answers the tool calls of one conversation, each in a task of its own, eight at once."""

    def __init__(
        self,
        http: HttpTools,
        agent: AgentDefinition,
        call_id: str,
        *,
        transfer: Callable[[], Awaitable[None]] | None,
        note: Callable[..., None],
    ) -> None:
        """`transfer` hands the person over, None where that is impossible; `note` writes to the call's log."""
        self._http = http
        self._agent = agent
        self._call_id = call_id
        self._transfer = transfer
        self._note = note
        self._running: set[asyncio.Task[None]] = set()

    def answer(self, called: ToolCalled, answer: Answer) -> None:
        """Start answering; the answer comes when it is there."""
        if len(self._running) >= _MOST_AT_ONCE:
            answer(called.tool_call_id, "too many tools at once", True)
            return
        task = asyncio.create_task(self._supervise(called, answer), name=f"tool {called.name}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def close(self) -> None:
        """Drop what is not answered yet."""
        tasks = list(self._running)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _supervise(self, called: ToolCalled, answer: Answer) -> None:
        try:
            if called.name == TRANSFER:
                await self._hand_over(called, answer)
            else:
                await self._run(called, answer)
        except Exception as error:  # supervision point: a tool's fault must neither be lost nor end the call
            log.exception("a tool failed", tool=called.name)
            self._note("tool", name=called.name, is_error=True, detail=type(error).__name__)
            answer(called.tool_call_id, f"the tool {called.name} failed", True)

    async def _run(self, called: ToolCalled, answer: Answer) -> None:
        result, is_error = await self._http.run(self._agent, called, self._call_id)
        answer(called.tool_call_id, result, is_error)
        self._note("tool", name=called.name, is_error=is_error)

    async def _hand_over(self, called: ToolCalled, answer: Answer) -> None:
        if self._transfer is None:
            answer(called.tool_call_id, "no human is available now", True)
            return
        answer(called.tool_call_id, "the person is being connected", False)
        await self._transfer()
