"""A process that starts three workflows and stays in their second step until it is killed."""

import asyncio
import json
import sys
from functools import partial
from pathlib import Path

from callwright.ports.clock import SystemClock
from callwright.storage.database import Database
from callwright.storage.durable import DbosWorkflows


async def main(url: str, folder: str, executor_id: str, log: str, secret_key: str) -> None:
    database = await Database.open(url, data_dir=Path(folder), clock=SystemClock(), secret_key=secret_key)
    workflows = DbosWorkflows(database, executor_id=executor_id, patience_s=0.5)

    def note(text: str) -> None:
        with Path(log).open("a") as file:
            file.write(f"{text}\n")

    async def one(attempt_id: str) -> None:
        note(f"{attempt_id}:one")

    async def two(attempt_id: str) -> None:
        note(f"{attempt_id}:two:begins")
        await asyncio.sleep(600)

    async def dial(attempt_id: str) -> None:
        await workflows.step("one", partial(one, attempt_id))
        await workflows.step("two", partial(two, attempt_id))
        await workflows.step("three", partial(one, attempt_id))

    workflows.register("dial", dial)
    await workflows.launch()
    for attempt_id in ("a", "b", "c"):
        await workflows.start("dial", f"dial-{attempt_id}", attempt_id)
    await asyncio.sleep(600)


if __name__ == "__main__":
    asyncio.run(main(**json.loads(sys.argv[1])))
