"""What the parts of the simulator share, and what tests and scenarios may turn."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from callwright.integrations.zoho.simulator.accounts import Accounts
from callwright.integrations.zoho.simulator.tables import Tables
from callwright.simulation.traffic import Traffic


@dataclass(slots=True)
class Behaviour:
    """Switches. `latency_s` delays every API answer; `unknown_id` is 204 or 400; `all_failed` 400, or 202 of old."""

    latency_s: float = 0.0
    in_flight: int = 10
    complex_in_flight: int = 10
    unknown_id: int = 204
    all_failed: int = 400


@dataclass(slots=True)
class Usage:
    """What was used up; `peak` is the most requests that were in flight at once."""

    credits: int = 0
    in_flight: int = 0
    complex_in_flight: int = 0
    peak: int = 0
    complex_peak: int = 0
    requests: "Counter[str]" = field(default_factory=Counter)


@dataclass(slots=True)
class State:
    """The organisation: its accounts server, its records, and how it behaves.

    `refusals`: (module, field) -> (code, message, details) of fields that a rule of the organisation refuses.
    `workflows`: (module, record id) of writes that set off workflow rules.
    """

    accounts: Accounts
    tables: Tables
    traffic: Traffic
    behaviour: Behaviour = field(default_factory=Behaviour)
    usage: Usage = field(default_factory=Usage)
    refusals: dict[tuple[str, str], tuple[str, str, dict[str, Any]]] = field(default_factory=dict)
    workflows: list[tuple[str, str]] = field(default_factory=list)
