"""/api/v1/agents: who speaks, what it is given, what it finds out, and where the answers go."""

from typing import Annotated, Self

from fastapi import APIRouter, Body, Path, Query, Response
from pydantic import BaseModel, Field

from callwright.api import problems
from callwright.api.declared import guarded, with_body
from callwright.api.keys import needs
from callwright.api.problems import ProblemItem
from callwright.api.services import Services
from callwright.api.state import ServicesState
from callwright.domain.agent import AgentDefinition, HttpTool
from callwright.domain.errors import InvalidInput, NotFound, Problem
from callwright.domain.scopes import Scope
from callwright.storage.api_keys import ApiKey

router = APIRouter(prefix="/agents", tags=["agents"])

HIDDEN = "***"
"""Stands for the value of a tool's header, which may be a secret; sent back, it means: as before."""

EXAMPLE = {
    "name": "lead-qualifier",
    "description": "Asks a new lead for interest and a time to meet.",
    "carrier": "acme-carrier",
    "caller_id": "+447700900001",
    "engine": {"platform": "acme-agents", "agent_id": "agent_0123456789"},
    "crm": {
        "system": "acme-crm",
        "module": "Leads",
        "phone_fields": ["Mobile", "Phone"],
        "variables": {"first_name": "First_Name"},
        "results": {"interested": "Interested"},
    },
    "variables": [{"name": "first_name", "required": True}],
    "collect": [{"name": "interested", "type": "boolean", "ask": "Are you interested?"}],
}

_Name = Annotated[
    str,
    Path(description="The agent's name.", pattern=r"^[a-z0-9][a-z0-9-]{0,62}$", examples=["lead-qualifier"]),
]
_Definition = Annotated[AgentDefinition, Body(openapi_examples={"agent": {"value": EXAMPLE}})]
_Reader = Annotated[ApiKey, needs(Scope.AGENTS_READ)]
_Writer = Annotated[ApiKey, needs(Scope.AGENTS_WRITE)]


class AgentView(BaseModel):
    """One version of an agent."""

    name: str = Field(examples=["lead-qualifier"])
    version: int = Field(
        description="Grows with every change; calls keep the one they began with.", examples=[3]
    )
    definition: AgentDefinition = Field(description=f"Values of tools' headers are shown as {HIDDEN}.")

    @classmethod
    def of(cls, version: int, definition: AgentDefinition) -> Self:
        """A version without the values of its tools' headers."""
        return cls(name=definition.name, version=version, definition=_hide(definition))


class StoredAgent(AgentView):
    """The version that now counts, and what should be looked at."""

    warnings: list[ProblemItem] = Field(description="What could not be checked now.")


class AgentList(BaseModel):
    """The newest version of every agent that is not archived."""

    items: list[AgentView]


class AgentCheck(BaseModel):
    """What a definition would run into."""

    valid: bool
    errors: list[ProblemItem] = Field(description="What forbids its use.")
    warnings: list[ProblemItem] = Field(description="What could not be checked now.")


@router.put(
    "/{name}",
    operation_id="put_agent",
    summary="Create or change an agent",
    responses={
        200: {"description": "It was there; this is its newest version."},
        201: {"description": "It is new.", "model": StoredAgent},
        **with_body(),
    },
)
async def put_agent(
    name: _Name, body: _Definition, _key: _Writer, services: ServicesState, response: Response
) -> StoredAgent:
    """Check and store a definition. Other content than before becomes the next version."""
    if body.name != name:
        remedy = "Give the same name in the address and in the body."
        raise InvalidInput(Problem("name", f"{body.name!r} is not {name!r}.", remedy))
    complete = await _with_hidden_headers(services, body)
    version, warnings = await services.agents.put(complete)
    if version == 1:
        response.status_code = 201
    view = AgentView.of(version, complete)
    return StoredAgent(name=view.name, version=version, definition=view.definition, warnings=_items(warnings))


@router.post(
    "/check",
    operation_id="check_agent",
    summary="Check a definition",
    responses=with_body(),
)
async def check_agent(body: _Definition, _key: _Reader, services: ServicesState) -> AgentCheck:
    """Check a definition against what is configured and against the CRM's fields; nothing is stored."""
    try:
        warnings = await services.agents.check(body)
    except InvalidInput as error:
        return AgentCheck(valid=False, errors=_items(error.problems), warnings=[])
    return AgentCheck(valid=True, errors=[], warnings=_items(warnings))


@router.get("", operation_id="list_agents", summary="All agents", responses=guarded())
async def list_agents(_key: _Reader, services: ServicesState) -> AgentList:
    """The newest version of every agent that is not archived, by name."""
    return AgentList(items=[AgentView.of(*item) for item in await services.agents.listing()])


@router.get(
    "/{name}",
    operation_id="get_agent",
    summary="One agent",
    responses=guarded(problems.NOT_FOUND, problems.INVALID),
)
async def get_agent(
    name: _Name,
    _key: _Reader,
    services: ServicesState,
    version: Annotated[int | None, Query(description="By default the newest.", ge=1, le=2**31 - 1)] = None,
) -> AgentView:
    """An agent's newest version, or the one that is named, archived or not."""
    return AgentView.of(*await services.agents.get(name, version))


@router.delete(
    "/{name}",
    operation_id="archive_agent",
    summary="Archive an agent",
    status_code=204,
    responses={
        204: {"description": "It takes no new calls."},
        **guarded(problems.NOT_FOUND, problems.INVALID),
    },
)
async def archive_agent(name: _Name, _key: _Writer, services: ServicesState) -> None:
    """Keep an agent from being used for new calls; those that are under way go on. PUT brings it back."""
    await services.agents.archive(name)


def _items(found: list[Problem] | tuple[Problem, ...]) -> list[ProblemItem]:
    return [ProblemItem(where=item.where, what=item.what, remedy=item.remedy) for item in found]


def _hide(definition: AgentDefinition) -> AgentDefinition:
    tools = tuple(
        tool.model_copy(update={"headers": dict.fromkeys(tool.headers, HIDDEN)}) for tool in definition.tools
    )
    return definition.model_copy(update={"tools": tools})


async def _with_hidden_headers(services: Services, definition: AgentDefinition) -> AgentDefinition:
    """Put back the header values that an answer of ours hid; raises InvalidInput where there is none."""
    if not any(HIDDEN in tool.headers.values() for tool in definition.tools):
        return definition
    try:
        _, before = await services.agents.get(definition.name)
    except NotFound:
        known: dict[str, HttpTool] = {}
    else:
        known = {tool.name: tool for tool in before.tools}
    tools = []
    for tool in definition.tools:
        earlier = known[tool.name].headers if tool.name in known else {}
        missing = [name for name, value in tool.headers.items() if value == HIDDEN and name not in earlier]
        if missing:
            what = f"{HIDDEN} stands for a value that is not known here."
            raise InvalidInput(
                *(Problem(f"tools.{tool.name}.headers.{name}", what, "Give the value.") for name in missing)
            )
        headers = {name: earlier[name] if value == HIDDEN else value for name, value in tool.headers.items()}
        tools.append(tool.model_copy(update={"headers": headers}))
    return definition.model_copy(update={"tools": tuple(tools)})
