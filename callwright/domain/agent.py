"""The declarative agent: who speaks, what it is given, what it finds out, and where the answers go."""

from enum import StrEnum
from functools import cache
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from callwright.domain.errors import InvalidInput, Problem
from callwright.domain.fields import CollectedField, FieldType, Name, Variable
from callwright.domain.hours import CallingHours
from callwright.domain.json_schema import schema_problems
from callwright.domain.outcome import EndReason
from callwright.domain.wording import Wrong, problems_of

OPT_OUT_FIELD = "opt_out"
"""The collected field that tells of the wish not to be called again."""

E164 = Annotated[str, Field(pattern=r"^\+[1-9]\d{6,14}$", description="E.164, for example +447700900123")]
Seconds = Annotated[float, Field(gt=0)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Engine(_Part):
    """Which agent platform speaks, and as which of its agents; `overrides` are passed on per call."""

    platform: str = Field(description="The agent platform: the name of a configured integration.")
    agent_id: str = Field(description="The agent's id at the platform.")
    first_message: str | None = Field(None, description="What it says first, instead of the platform's text.")
    prompt: str | None = Field(None, description="Its instructions, instead of the platform's.")
    language: str | None = Field(
        None, description="Its language, such as en or pt-br, instead of the platform's."
    )
    voice_id: str | None = Field(None, description="Its voice, instead of the platform's.")
    delete_conversation: bool = Field(
        False,
        description="Delete the conversation at the platform once its results are written; without any it stays.",
    )


class NoteKind(StrEnum):
    """What is attached to the CRM record as a note."""

    NONE = "none"
    SUMMARY = "summary"
    TRANSCRIPT = "transcript"


class CrmMapping(_Part):
    """How a CRM record becomes variables, and how outcomes go back.

    `variables`: agent variable -> CRM field. `results`: collected field -> CRM field.
    """

    system: str = Field(description="The CRM: the name of a configured integration.")
    module: str = Field("Leads", description="The kind of record.")
    phone_fields: tuple[str, ...] = Field(
        min_length=1, description="CRM fields that may hold the number; the first that is filled counts."
    )
    variables: dict[str, str] = Field(
        {}, description="Variable of the agent: CRM field that it is read from."
    )
    results: dict[str, str] = Field({}, description="Collected field: CRM field that it is written to.")
    outcome_field: str | None = Field(None, description="CRM field that is told how the call ended.")
    outcome_values: dict[EndReason, str] = Field(
        {}, description="End reason: what is written there; by default the end reason itself."
    )
    opt_out_field: str | None = Field(
        None,
        description="CRM field that is set when the person opted out; a record in which it is set is not called.",
    )
    log_call: bool = Field(True, description="Log each call at the record, unanswered and failed ones too.")
    note: NoteKind = Field(
        NoteKind.SUMMARY, description="What an answered call leaves at the record as a note."
    )
    overwrite: bool = Field(
        True,
        description="Whether fields that are filled may be written; no = only empty ones, the outcome too.",
    )
    triggers: tuple[str, ...] = Field(
        (), description="What in the CRM our writes may set off; by default nothing."
    )


class HttpTool(_Part):
    """A client tool of the agent that we answer by an HTTP request; `parameters` is a JSON schema."""

    name: Name = Field(description="The client tool's name at the platform: lower case, digits and _.")
    description: str = Field("", description="For people; the platform has its own.")
    url: str = Field(pattern=r"^https?://", description="Where the request goes.")
    method: str = Field(
        "POST",
        pattern="^(GET|POST|PUT)$",
        description="GET (parameters in the query), POST or PUT (as JSON).",
    )
    headers: dict[str, str] = Field({}, description="Sent along; the API never shows their values.")
    timeout_s: float = Field(
        10.0, gt=0, le=20, description="Seconds until the agent is told that there is no answer."
    )
    parameters: dict[str, Any] = Field(
        {},
        description="A JSON schema of the arguments; a call that does not fit is answered with an error instead.",
    )

    @field_validator("parameters")
    @classmethod
    def _schema_is_supported(cls, value: dict[str, Any]) -> dict[str, Any]:
        problems = schema_problems(value)
        if problems:
            raise ValueError("; ".join(problems))
        return value


class Limits(_Part):
    """Time limits of one call, in seconds."""

    ring_s: int = Field(30, ge=15, le=60, description="How long the phone rings.")
    longest_call_s: int = Field(600, ge=10, le=7200, description="The call is hung up after this.")
    silence_s: int = Field(
        30, ge=5, le=300, description="The call is hung up when neither side has spoken for so long."
    )
    results_wait_s: int = Field(
        900, ge=10, le=86400, description="How long to wait for the platform's results after the call."
    )


class RetryRule(_Part):
    """Try again `after_s` seconds, at most `attempts` dials in all."""

    after_s: int = Field(
        ge=60, description="Seconds until the next attempt; the gate may put it off further."
    )
    attempts: int = Field(2, ge=2, le=10, description="Most attempts in all, the first one included.")


class OnMachine(StrEnum):
    """What to do when the carrier detects an answering machine."""

    HANG_UP = "hang_up"
    CONTINUE = "continue"


class MachineDetection(_Part):
    """The carrier's answering machine detection (AMD)."""

    enabled: bool = Field(False, description="Whether to have it, where the carrier can do it.")
    on_machine: OnMachine = Field(
        OnMachine.HANG_UP,
        description="`continue` talks to the machine; that it is one is noted in the call's log.",
    )


class AgentDefinition(_Part):
    """One agent, as written in YAML and stored with a version."""

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9-]{0,62}$",
        description="Lower case, digits and -; calls name the agent by it.",
    )
    description: str = Field("", description="For people.")
    carrier: str = Field(description="Who places the calls: the name of a configured integration.")
    caller_id: E164 = Field(
        description="The number that people see, in quotes; it has to be ours at the carrier."
    )
    engine: Engine = Field(description="Who speaks.")
    crm: CrmMapping | None = Field(
        None, description="The CRM's side; without it calls are placed to numbers only."
    )
    variables: tuple[Variable, ...] = Field((), description="What the agent is given before the call.")
    collect: tuple[CollectedField, ...] = Field((), description="What the agent is to find out.")
    tools: tuple[HttpTool, ...] = Field((), description="Client tools that we answer by an HTTP request.")
    handover_number: E164 | None = Field(
        None, description="The human to whom a call may be handed over, in quotes."
    )
    calling_hours: str | None = Field(
        None, description="Narrows CALLING_HOURS for this agent, such as `12:00-16:00 mon-fri`."
    )
    time_zone: str | None = Field(
        None,
        description="Where the people are, such as Europe/London, if their numbers do not tell it alone.",
    )
    limits: Limits = Field(Limits(), description="Time limits.")
    retry: dict[EndReason, RetryRule] = Field({}, description="End reason: when to try again.")
    machine_detection: MachineDetection = Field(MachineDetection(), description="Answering machines.")
    record: bool = Field(True, description="Keep a stereo recording.")
    carrier_recording: bool = Field(
        False, description="Have the carrier record the call as well, where it can, and fetch its recording."
    )
    apology: str = Field(
        "We are sorry, there is a technical problem. Goodbye.",
        description="Spoken by the carrier's own voice before we hang up on a fault of ours.",
    )
    language: str = Field("en", description="The language of the apology.")

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
        variables = [variable.name for variable in self.variables]
        collected = [field.name for field in self.collect]
        problems = [
            *_doubled("variables", variables),
            *_doubled("collect", collected),
            *_doubled("tools", [tool.name for tool in self.tools]),
        ]
        for field in self.collect:
            if field.name == OPT_OUT_FIELD and field.type is not FieldType.BOOLEAN:
                what = f"is of type {field.type}; whether somebody opted out is yes or no."
                problems.append(Problem(f"collect.{field.name}", what, "Write `type: boolean`."))
        if self.crm is not None:
            problems += _undeclared("crm.variables", self.crm.variables, "variables", variables)
            problems += _undeclared("crm.results", self.crm.results, "collect", collected)
        if problems:
            raise Wrong(*problems)
        return self


def _doubled(where: str, names: list[str]) -> list[Problem]:
    doubled = sorted({name for name in names if names.count(name) > 1})
    return [
        Problem(f"{where}.{name}", "is declared more than once.", "Keep one of them.") for name in doubled
    ]


def _undeclared(where: str, mapping: dict[str, str], section: str, names: list[str]) -> list[Problem]:
    remedy = f"Declare it in `{section}` (there: {', '.join(sorted(set(names))) or 'nothing'}), or remove it."
    return [
        Problem(f"{where}.{name}", f"is not declared in `{section}`.", remedy)
        for name in sorted(set(mapping) - set(names))
    ]


def parse_agent(data: Any) -> AgentDefinition:
    """Check an agent read from YAML or JSON; raises InvalidInput that lists every problem."""
    if not isinstance(data, dict):
        raise InvalidInput(Problem("agent", "is not a mapping.", "Start with `name: my-agent`."))
    try:
        return AgentDefinition.model_validate(data)
    except ValidationError as error:
        found = [problem for item in error.errors() for problem in _problems(item)]
        raise InvalidInput(*found) from error


def _problems(item: Any) -> list[Problem]:
    where = ".".join(str(part) for part in item["loc"]) or "agent"
    if item["type"] == "extra_forbidden":
        return problems_of(item, where, "Remove it, or check its spelling.")
    return problems_of(item, where, _description(item["loc"]))


def _description(location: tuple[int | str, ...]) -> str:
    """What the schema says about the deepest described part of a place."""
    schema = _schema()
    node, description = schema, ""
    for part in location:
        choices = [item for item in node.get("anyOf", []) if item.get("type") != "null"]
        node = {**node, **choices[0]} if choices else node
        if "$ref" in node:
            node = schema["$defs"][node["$ref"].rpartition("/")[2]]
        others = node.get("items" if isinstance(part, int) else "additionalProperties")
        below = node.get("properties", {}).get(part, others)
        node = below if isinstance(below, dict) else {}
        description = str(node.get("description", "")) or description
    return description


@cache
def _schema() -> dict[str, Any]:
    return AgentDefinition.model_json_schema()
