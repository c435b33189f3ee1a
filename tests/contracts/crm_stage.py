"""A CRM on its stage, with two people in it."""

from datetime import UTC, datetime
from typing import Any

from callwright.domain.agent import AgentDefinition, CrmMapping, parse_agent
from callwright.domain.outcome import EndReason
from callwright.ports.crm import CallActivity, Crm, CrmNote
from callwright.ports.webhook import WebhookRequest
from callwright.registry import IntegrationSpec, Role
from callwright.simulation.world import World, WorldRecord
from tests.contracts.leaks import Leaks
from tests.contracts.stage import Stage, world_options

ANN = WorldRecord("5725767000000100001", "Ann", "Archer", "+447700900101", {"Product_Interest": "heat pump"})
BEN = WorldRecord("5725767000000100002", "Ben", "O'Neill", "+447700900102", {})


class CrmStage(Stage):
    """As Stage, with the mapping of the demo."""

    def __init__(self, spec: IntegrationSpec, leaks: Leaks) -> None:
        world = World(records=[ANN, BEN], options=world_options())
        super().__init__(spec, Role.CRM, world, leaks)

    @property
    def crm(self) -> Crm:
        """The adapter."""
        crm: Crm = self.port
        return crm

    @property
    def mapping(self) -> CrmMapping:
        """The mapping of the integration's demo agent."""
        return CrmMapping.model_validate({**self.sample("demo").get("crm"), "system": self.spec.name})

    @property
    def module(self) -> str:
        """Where the people are."""
        return self.mapping.module

    def agent(self, **changed: Any) -> AgentDefinition:
        """An agent with the mapping of the demo, and changes of it."""
        mapping = {**self.mapping.model_dump(mode="json"), **changed}
        return parse_agent(
            {
                "name": "contract",
                "carrier": "any",
                "caller_id": "+447700900001",
                "engine": {"platform": "any", "agent_id": "any"},
                "variables": [{"name": name} for name in mapping["variables"]],
                "collect": [{"name": name, **_TYPES.get(name, {})} for name in mapping["results"]],
                "crm": mapping,
            }
        )

    def activity(self, attempt_id: str = "attempt-1", record: WorldRecord = ANN) -> CallActivity:
        """A call to be logged."""
        return CallActivity(
            attempt_id,
            self.module,
            record.record_id,
            record.phone,
            datetime(2026, 3, 2, 11, 0, tzinfo=UTC),
            61.4,
            EndReason.COMPLETED,
            "contract",
            "Wants an offer.",
            {"Recording": "https://example.com/r/1"},
        )

    def note(self, attempt_id: str = "attempt-1", record: WorldRecord = ANN) -> CrmNote:
        """A note to be attached."""
        return CrmNote(attempt_id, self.module, record.record_id, "AI call", "Wants an offer.")

    def hook(self) -> WebhookRequest:
        """A genuine request of the CRM to call somebody."""
        raw = self.sample().get("hook")
        return WebhookRequest(
            raw.get("method", "POST"),
            "",
            raw.get("query", {}),
            raw.get("headers", {}),
            str(raw.get("body", "")).encode(),
        )

    def added(self, what: str) -> int:
        """How many entries (`call`, `note`) the adapter added, whether it was told so or not."""
        name = self.sample().get("adds")[what]
        return sum(1 for item in self.simulator.traffic.named(name) if item.status in {200, 201})


_TYPES: dict[str, dict[str, Any]] = {
    "interested": {"type": "boolean"},
    "budget": {"type": "integer"},
    "opt_out": {"type": "boolean"},
}
