"""The bodies that the API takes, with bounds on everything."""

import math
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from callwright.domain.outcome import EndReason
from callwright.domain.states import CallState

_DEEPEST = 6
_LARGEST_INTEGER = 2**63


def _storable(value: Any, depth: int = 0) -> Any:
    """Refuse what JSON or a database cannot carry: NaN, lone surrogates, integers of more than 64 bits, depth."""
    if depth > _DEEPEST:
        raise ValueError(f"is nested more than {_DEEPEST} deep")
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError("holds a number that is not finite")
    elif isinstance(value, int) and abs(value) >= _LARGEST_INTEGER:
        raise ValueError("holds an integer of more than 64 bits")
    elif isinstance(value, dict):
        for name, item in value.items():
            _check_text(name)
            _storable(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _storable(item, depth + 1)
    return value


def _check_text(text: str) -> None:
    if "\0" in text or not text.isascii():
        text.encode("utf-8")
        if "\0" in text:
            raise ValueError("holds the character NUL")


Variables = Annotated[dict[str, Any], Field(max_length=200), AfterValidator(_storable)]
_TagName = Annotated[str, StringConstraints(min_length=1, max_length=64)]
_TagValue = Annotated[str, StringConstraints(max_length=256)]
Tags = Annotated[dict[_TagName, _TagValue], Field(max_length=20), AfterValidator(_storable)]
_RecordId = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[\x21-\x7e]+$")]
_Phone = Annotated[str, StringConstraints(min_length=3, max_length=40)]
AgentName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class CallRequest(_Body):
    """A call to be placed: to a CRM record or to a number, one of both."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "agent": "lead-qualifier",
                    "record": "3652397000000649013",
                    "variables": {"campaign": "spring"},
                    "tags": {"batch": "2026-11"},
                },
                {"agent": "lead-qualifier", "phone": "+447700900123", "not_before": "2026-11-23T09:00:00Z"},
            ]
        }
    )

    agent: AgentName = Field(description="Name of the agent that holds the call.")
    record: _RecordId | None = Field(None, description="Id of the record in the agent's CRM.")
    phone: _Phone | None = Field(
        None, description="The number to call; E.164, or national with DEFAULT_REGION."
    )
    variables: Variables = Field(
        default={}, description="Values of the agent's variables; they win over the CRM's."
    )
    not_before: AwareDatetime | None = Field(None, description="Do not dial earlier than this.")
    tags: Tags = Field(default={}, description="Words of yours that stay with the call.")

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if (self.record is None) == (self.phone is None):
            raise ValueError("Give either `record` or `phone`")
        return self


class ContextRequest(_Body):
    """Variables that changed while the call goes on."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"variables": {"order_state": "shipped"}}]})

    variables: Variables = Field(min_length=1, description="Changed values of the agent's variables.")


class SuppressionRequest(_Body):
    """Why a number must not be called."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"reason": "asked by e-mail not to be called", "evidence": "ticket 4711"}]
        }
    )

    reason: Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_storable)] = (
        Field(description="Why, in words.")
    )
    evidence: Annotated[str, StringConstraints(max_length=2000), AfterValidator(_storable)] = Field(
        "", description="Where that can be looked up."
    )
    expires_at: AwareDatetime | None = Field(None, description="Until when; for ever if left out.")


class HoldRequest(_Body):
    """Why nobody is to be dialled."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "the office is closed"}]})

    reason: Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_storable)] = (
        Field("no reason was given", description="Why, in words; waiting calls tell it.")
    )


class CallFilters(BaseModel):
    """Which calls, and which page of them."""

    model_config = ConfigDict(extra="forbid")

    state: CallState | None = Field(None, description="Only calls in this state.")
    agent: AgentName | None = Field(None, description="Only calls of this agent.")
    phone: _Phone | None = Field(None, description="Only calls to this number.")
    record: _RecordId | None = Field(None, description="Only calls about this CRM record.")
    outcome: EndReason | None = Field(None, description="Only calls that ended so.")
    since: AwareDatetime | None = Field(None, description="Created then or later.")
    before: AwareDatetime | None = Field(None, description="Created earlier.")
    limit: int = Field(50, description="Calls per page.", ge=1, le=200)
    cursor: str | None = Field(None, description="From the page before.", max_length=200)
