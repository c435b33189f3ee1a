"""The integrations that are configured, by role and name."""

from collections.abc import Mapping
from typing import Any, cast

from callwright.domain.errors import NotFound
from callwright.ports.carrier import Carrier
from callwright.ports.crm import Crm
from callwright.ports.voice_agent import VoiceAgents
from callwright.registry import IntegrationContext, IntegrationSettings, IntegrationSpec, Role


class Directory:
    """Builds every configured integration once, and closes them."""

    def __init__(
        self,
        configured: Mapping[str, tuple[IntegrationSpec, IntegrationSettings]],
        context: IntegrationContext,
    ) -> None:
        self._built: dict[tuple[Role, str], Any] = {
            (role, name): spec.build(role, settings, context)
            for name, (spec, settings) in configured.items()
            for role in spec.roles
        }

    def carrier(self, name: str) -> Carrier:
        """The carrier of this name; raises NotFound when it is not configured."""
        return cast("Carrier", self._find(Role.CARRIER, name))

    def voice_agents(self, name: str) -> VoiceAgents:
        """The agent platform of this name; raises NotFound when it is not configured."""
        return cast("VoiceAgents", self._find(Role.VOICE_AGENTS, name))

    def crm(self, name: str) -> Crm:
        """The CRM of this name; raises NotFound when it is not configured."""
        return cast("Crm", self._find(Role.CRM, name))

    def names(self, role: Role) -> list[str]:
        """Names of what is configured for a role."""
        return sorted(name for found, name in self._built if found is role)

    def all(self) -> list[tuple[str, Role, Any]]:
        """Everything that is configured: name, role, and the object that fills it."""
        return [(name, role, built) for (role, name), built in sorted(self._built.items())]

    async def close(self) -> None:
        """Close every integration."""
        for built in self._built.values():
            await built.close()

    def _find(self, role: Role, name: str) -> Any:
        try:
            return self._built[role, name]
        except KeyError:
            have = ", ".join(self.names(role)) or "none"
            raise NotFound(f"{name!r} is not a configured {role} (configured: {have})") from None
