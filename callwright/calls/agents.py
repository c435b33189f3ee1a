"""Agents in the store: checked against what is configured, versioned, and found again for a call."""

from callwright.calls.directory import Directory
from callwright.domain.agent import AgentDefinition
from callwright.domain.attempt import Attempt
from callwright.domain.errors import InvalidInput, NotFound, Problem, VendorError
from callwright.registry import Role
from callwright.storage import agents as table
from callwright.storage.database import Database

_KEPT = 256


class AgentBook:
    """Agent definitions by name and version; versions never change, so they are kept in memory."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[tuple[str, int], AgentDefinition] = {}

    async def of(self, attempt: Attempt) -> AgentDefinition:
        """The definition that a call was created with; raises NotFound."""
        key = (attempt.agent_name, attempt.agent_version)
        if key not in self._known:
            if len(self._known) >= _KEPT:
                self._known.pop(next(iter(self._known)))
            _, self._known[key] = await self.get(*key)
        return self._known[key]

    async def get(self, name: str, version: int | None = None) -> tuple[int, AgentDefinition]:
        """Version and definition, the newest unless one is named; raises NotFound."""
        async with self._database.read() as conn:
            found = await table.get(conn, name, version)
        if found is None:
            which = f"version {version} of agent" if version is not None else "agent"
            raise NotFound(f"there is no {which} {name!r}; `callwright agents list` shows all")
        return found


class AgentService:
    """Creates, lists and archives agents."""

    def __init__(self, database: Database, directory: Directory, book: AgentBook) -> None:
        self._database = database
        self._directory = directory
        self._book = book

    async def put(self, definition: AgentDefinition) -> tuple[int, list[Problem]]:
        """Check and store; returns the version and warnings. Raises InvalidInput with every problem."""
        warnings = await self.check(definition)
        async with self._database.write() as conn:
            version = await table.put(conn, definition)
        return version, warnings

    async def check(self, definition: AgentDefinition) -> list[Problem]:
        """Warnings about a definition; raises InvalidInput with every problem that forbids its use."""
        problems = self._missing(definition)
        if problems:
            raise InvalidInput(*problems)
        carrier = self._directory.carrier(definition.carrier)
        if definition.caller_id not in carrier.owned_numbers():
            owned = ", ".join(sorted(carrier.owned_numbers())) or "none"
            problems.append(
                Problem("caller_id", f"{definition.caller_id} is not ours.", f"Ours are: {owned}.")
            )
        if definition.handover_number and not carrier.capabilities.transfer:
            problems.append(Problem("handover_number", f"{definition.carrier} cannot transfer calls."))
        if definition.carrier_recording and not carrier.capabilities.recording:
            problems.append(Problem("carrier_recording", f"{definition.carrier} cannot record calls."))
        platform = self._directory.voice_agents(definition.engine.platform)
        problems.extend(Problem("engine", text) for text in platform.problems(definition))
        warnings = await self._mapping(definition, problems)
        if problems:
            raise InvalidInput(*problems)
        return warnings

    async def get(self, name: str, version: int | None = None) -> tuple[int, AgentDefinition]:
        """Version and definition; raises NotFound."""
        return await self._book.get(name, version)

    async def listing(self) -> list[tuple[int, AgentDefinition]]:
        """The newest version of every agent that is not archived, by name."""
        async with self._database.read() as conn:
            return list(await table.listing(conn))

    async def archive(self, name: str) -> None:
        """Keep an agent from being used for new calls; raises NotFound."""
        await self._book.get(name)
        async with self._database.write() as conn:
            await table.archive(conn, name)

    def _missing(self, definition: AgentDefinition) -> list[Problem]:
        wanted = [
            ("carrier", Role.CARRIER, definition.carrier),
            ("engine.platform", Role.VOICE_AGENTS, definition.engine.platform),
        ]
        if definition.crm is not None:
            wanted.append(("crm.system", Role.CRM, definition.crm.system))
        problems = []
        for where, role, name in wanted:
            have = self._directory.names(role)
            if name not in have:
                remedy = f"Configured are: {', '.join(have) or 'none'}. See `callwright settings`."
                problems.append(Problem(where, f"{name!r} is not configured.", remedy))
        return problems

    async def _mapping(self, definition: AgentDefinition, problems: list[Problem]) -> list[Problem]:
        """Add problems of the CRM mapping; a CRM that cannot be asked now is a warning."""
        if definition.crm is None:
            return []
        try:
            problems.extend(await self._directory.crm(definition.crm.system).mapping_problems(definition))
        except VendorError as error:
            remedy = "Run `callwright crm test-mapping` when it answers."
            return [Problem("crm", f"the mapping could not be checked: {error}.", remedy)]
        return []
