"""The declarative agent: who speaks, what it is given, what it finds out, and where the answers go."""

from enum import StrEnum
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from callwright.domain.errors import InvalidInput, Problem
from callwright.domain.fields import CollectedField, Name, Variable
from callwright.domain.hours import CallingHours
from callwright.domain.outcome import EndReason

E164 = Annotated[str, Field(pattern=r"^\+[1-9]\d{6,14}$", description="E.164, for example +447700900123")]
Seconds = Annotated[float, Field(gt=0)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Engine(_Part):
    """Which agent platform speaks, and as which of its agents; `overrides` are passed on per call."""

    platform: str
    agent_id: str
    first_message: str | None = None
    prompt: str | None = None
    language: str | None = None
    voice_id: str | None = None
    delete_conversation: bool = False


class NoteKind(StrEnum):
    """What is attached to the CRM record as a note."""

    NONE = "none"
    SUMMARY = "summary"
    TRANSCRIPT = "transcript"


class CrmMapping(_Part):
    """How a CRM record becomes variables, and how outcomes go back.

    `variables`: agent variable -> CRM field. `results`: collected field -> CRM field.
    """

    system: str
    module: str = "Leads"
    phone_fields: tuple[str, ...] = Field(min_length=1)
    variables: dict[str, str] = {}
    results: dict[str, str] = {}
    outcome_field: str | None = None
    outcome_values: dict[EndReason, str] = {}
    opt_out_field: str | None = None
    log_call: bool = True
    note: NoteKind = NoteKind.SUMMARY
    overwrite: bool = True
    triggers: tuple[str, ...] = ()


class HttpTool(_Part):
    """A client tool of the agent that we answer by an HTTP request; `parameters` is a JSON schema."""

    name: Name
    description: str = ""
    url: str = Field(pattern=r"^https?://")
    method: str = Field("POST", pattern="^(GET|POST|PUT)$")
    headers: dict[str, str] = {}
    timeout_s: float = Field(10.0, gt=0, le=20)
    parameters: dict[str, Any] = {}


class Limits(_Part):
    """Time limits of one call, in seconds."""

    ring_s: int = Field(30, ge=15, le=60)
    longest_call_s: int = Field(600, ge=10, le=7200)
    silence_s: int = Field(30, ge=5, le=300)
    results_wait_s: int = Field(900, ge=10, le=86400)


class RetryRule(_Part):
    """Try again `after_s` seconds, at most `attempts` dials in all."""

    after_s: int = Field(ge=60)
    attempts: int = Field(2, ge=2, le=10)


class OnMachine(StrEnum):
    """What to do when the carrier detects an answering machine."""

    HANG_UP = "hang_up"
    CONTINUE = "continue"


class MachineDetection(_Part):
    """The carrier's answering machine detection (AMD)."""

    enabled: bool = False
    on_machine: OnMachine = OnMachine.HANG_UP


class AgentDefinition(_Part):
    """One agent, as written in YAML and stored with a version."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    description: str = ""
    carrier: str
    caller_id: E164
    engine: Engine
    crm: CrmMapping | None = None
    variables: tuple[Variable, ...] = ()
    collect: tuple[CollectedField, ...] = ()
    tools: tuple[HttpTool, ...] = ()
    handover_number: E164 | None = None
    calling_hours: str | None = None
    time_zone: str | None = None
    limits: Limits = Limits()
    retry: dict[EndReason, RetryRule] = {}
    machine_detection: MachineDetection = MachineDetection()
    record: bool = True
    apology: str = "We are sorry, there is a technical problem. We will call you again. Goodbye."
    language: str = "en"

    @field_validator("calling_hours")
    @classmethod
    def _hours_parse(cls, value: str | None) -> str | None:
        if value is not None:
            CallingHours.parse(value)
        return value

    @field_validator("time_zone")
    @classmethod
    def _zone_exists(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                ZoneInfo(value)
            except (ZoneInfoNotFoundError, ValueError) as error:
                raise ValueError(f"{value!r} is not a time zone such as Europe/London") from error
        return value

    @model_validator(mode="after")
    def _names_agree(self) -> "AgentDefinition":
        variables = _unique("variables", [variable.name for variable in self.variables])
        collected = _unique("collect", [field.name for field in self.collect])
        _unique("tools", [tool.name for tool in self.tools])
        if self.crm is not None:
            _declared("crm.variables", self.crm.variables, variables)
            _declared("crm.results", self.crm.results, collected)
        return self


def _unique(where: str, names: list[str]) -> set[str]:
    doubled = {name for name in names if names.count(name) > 1}
    if doubled:
        raise ValueError(f"{where}: {', '.join(sorted(doubled))} declared more than once")
    return set(names)


def _declared(where: str, mapping: dict[str, str], names: set[str]) -> None:
    unknown = sorted(set(mapping) - names)
    if unknown:
        declared = ", ".join(sorted(names)) or "none"
        raise ValueError(f"{where}: {', '.join(unknown)} not declared (declared: {declared})")


def parse_agent(data: Any) -> AgentDefinition:
    """Check an agent read from YAML or JSON; raises InvalidInput that lists every problem."""
    if not isinstance(data, dict):
        raise InvalidInput(Problem("agent", "is not a mapping.", "Start with `name: my-agent`."))
    try:
        return AgentDefinition.model_validate(data)
    except ValidationError as error:
        raise InvalidInput(*(_problem(item) for item in error.errors())) from error


def _problem(item: Any) -> Problem:
    where = ".".join(str(part) for part in item["loc"]) or "agent"
    remedy = "Remove it, or check its spelling." if item["type"] == "extra_forbidden" else ""
    return Problem(where, item["msg"], remedy)
