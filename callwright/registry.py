"""Finds integrations: folders of `callwright.integrations`, and entry points of other packages."""

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from pydantic import BaseModel, ConfigDict

from callwright.domain.errors import ConfigurationError, Problem
from callwright.ports.carrier import CarrierCapabilities
from callwright.ports.clock import Clock
from callwright.ports.storage import CounterStore, SecretStore, TokenStore

ENTRY_POINTS = "callwright.integrations"
_FOLDER = "callwright.integrations"


class Role(StrEnum):
    """A port that an integration can fill."""

    CARRIER = "carrier"
    VOICE_AGENTS = "voice_agents"
    CRM = "crm"


class IntegrationSettings(BaseModel):
    """Base of an integration's settings: frozen; every field has its environment name as validation_alias,
    a description, and SecretStr where it must never be shown.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=False)


@dataclass(frozen=True, slots=True)
class IntegrationContext:
    """What an integration gets from us. `public_url` is our https address, empty when there is none yet."""

    clock: Clock
    tokens: TokenStore
    secrets: SecretStore
    counters: CounterStore
    public_url: str = ""


@dataclass(frozen=True, slots=True)
class IntegrationSpec:
    """What an integration says about itself; all that the rest of Callwright knows of it.

    `roles`: role -> "module:Class", constructed as Class(settings, context). `simulator`: "module:Class",
    constructed as Class(world). `audio_formats`: names such as pcm_16000. `docs_url`: the vendor's pages.
    """

    name: str
    title: str
    settings: type[IntegrationSettings]
    roles: Mapping[Role, str]
    simulator: str
    docs_url: str
    audio_formats: tuple[str, ...] = ()
    carrier: CarrierCapabilities | None = None
    notes: tuple[str, ...] = ()

    def environment_names(self) -> list[str]:
        """The environment variables that configure it."""
        return [str(field.validation_alias) for field in self.settings.model_fields.values()]

    def build(self, role: Role, settings: IntegrationSettings, context: IntegrationContext) -> Any:
        """Construct the class that fills a role."""
        return load_object(self.roles[role])(settings, context)

    def build_simulator(self, world: Any) -> Any:
        """Construct the simulator of the vendor's side of the wire."""
        return load_object(self.simulator)(world)


def load_object(path: str) -> Any:
    """Import `module:attribute`."""
    module, _, attribute = path.partition(":")
    return getattr(importlib.import_module(module), attribute)


@cache
def integrations() -> Mapping[str, IntegrationSpec]:
    """Every integration found, by name; raises ConfigurationError when two share a name."""
    found: dict[str, IntegrationSpec] = {}
    for spec in _specs():
        if spec.name in found:
            problem = Problem(spec.name, "is the name of two integrations.", "Uninstall one of them.")
            raise ConfigurationError(problem)
        found[spec.name] = spec
    return found


def with_role(role: Role) -> list[IntegrationSpec]:
    """Integrations that fill a role, by name."""
    return [spec for _, spec in sorted(integrations().items()) if role in spec.roles]


def _specs() -> Iterator[IntegrationSpec]:
    package = importlib.import_module(_FOLDER)
    for module in sorted(pkgutil.iter_modules(package.__path__), key=lambda item: item.name):
        if module.ispkg:
            yield importlib.import_module(f"{_FOLDER}.{module.name}").SPEC
    for entry in entry_points(group=ENTRY_POINTS):
        yield entry.load()
