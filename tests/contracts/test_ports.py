"""Every integration: its SPEC is sound, and its classes have what their ports ask for."""

import re
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import pytest
from pydantic import SecretStr

from callwright.domain.audio import AudioFormat
from callwright.ports.carrier import Carrier
from callwright.ports.crm import Crm
from callwright.ports.voice_agent import VoiceAgents
from callwright.registry import IntegrationSettings, IntegrationSpec, Role, integrations, load_object
from callwright.simulation.vendor import VendorSimulator
from callwright.simulation.world import World
from tests.contracts.signatures import departures

PORTS: dict[Role, type[Any]] = {Role.CARRIER: Carrier, Role.VOICE_AGENTS: VoiceAgents, Role.CRM: Crm}
SPECS = [spec for _, spec in sorted(integrations().items())]
FILLED = [(spec, role) for spec in SPECS for role in spec.roles]
SECRET_NAMES = re.compile(r"(?:key|token|secret|password)$")

each_spec = pytest.mark.parametrize("spec", SPECS, ids=[spec.name for spec in SPECS])
each_role = pytest.mark.parametrize("spec,role", FILLED, ids=[f"{spec.name}-{role}" for spec, role in FILLED])


def test_the_suites_name_no_vendor() -> None:
    for path in Path(__file__).parent.glob("*.py"):
        text = path.read_text(encoding="utf-8").lower()
        assert [spec.name for spec in SPECS if spec.name in text] == [], path.name


def test_what_the_suites_ask_of_fixtures_is_documented() -> None:
    folder = Path(__file__).parent
    page = (folder.parents[1] / "docs" / "adding-an-integration.md").read_text(encoding="utf-8")
    text = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
    asked = set(re.findall(r"sample\(\)\.get\(\"(\w+)\"\)", text))
    assert len(asked) > 5
    assert [key for key in sorted(asked) if f"| `{key}` |" not in page] == []


def test_every_role_has_a_port() -> None:
    assert set(PORTS) == set(Role)


@each_role
def test_a_class_has_what_its_port_asks_for(spec: IntegrationSpec, role: Role) -> None:
    implementation = load_object(spec.roles[role])
    found = departures(implementation, PORTS[role])
    assert not found, f"{spec.name} does not fill the role {role}:\n" + "\n".join(found)
    assert implementation.name == spec.name


@each_spec
def test_a_simulator_is_one(spec: IntegrationSpec) -> None:
    assert departures(load_object(spec.simulator), VendorSimulator) == []
    assert spec.build_simulator(World()).name == spec.name


@each_spec
def test_a_spec_is_complete(spec: IntegrationSpec) -> None:
    assert spec.roles, "an integration fills at least one role"
    assert spec.title.strip()
    assert spec.docs_url.startswith("https://")
    assert re.fullmatch(r"[a-z][a-z0-9_]*", spec.name)
    assert (spec.carrier is not None) == (Role.CARRIER in spec.roles)
    for name in spec.audio_formats:
        assert str(AudioFormat.parse(name)) == name
    assert bool(spec.audio_formats) == bool({Role.CARRIER, Role.VOICE_AGENTS} & spec.roles.keys())


@each_spec
def test_settings_are_named_and_hidden_as_they_should_be(spec: IntegrationSpec) -> None:
    assert issubclass(spec.settings, IntegrationSettings)
    assert spec.settings.model_config["frozen"]
    for name, field in spec.settings.model_fields.items():
        variable = str(field.validation_alias)
        assert variable.startswith(f"{spec.name.upper()}_"), f"{variable}: begins with the integration's name"
        assert field.description, f"{variable}: says what it is for"
        if SECRET_NAMES.search(name):
            assert field.annotation in {SecretStr, SecretStr | None}, f"{variable}: is a SecretStr"


class _Port(Protocol):
    name: str

    async def find(self, phone: str, since: datetime) -> str | None:
        """Find something."""
        ...

    def close(self, *, quickly: bool = False) -> None:
        """Close something."""
        ...


class _Good:
    def __init__(self) -> None:
        self.name = "good"

    async def find(self, phone: str, since: datetime) -> str | None:
        return f"{phone} {since}"

    def close(self, *, quickly: bool = False) -> None:
        """Do nothing."""


class _Bad:
    def find(self, phone: str) -> str | None:
        return phone

    close = "soon"


def test_departures_from_a_port_are_told_in_words() -> None:
    assert departures(_Good, _Port) == []
    module = _Port.__module__
    wanted = "find(self, phone: str, since: datetime.datetime) -> str | None"
    assert departures(_Bad, _Port) == [
        f"_Bad.name is missing: an attribute of {module}._Port",
        f"_Bad.find must be async: {wanted}",
        f"_Bad.find(self, phone: str) -> str | None is not what {module}._Port asks for: {wanted}",
        f"_Bad.close is not a method; {module}._Port has close(self, *, quickly: bool = False) -> None",
    ]
    assert departures(object, _Port)[1].startswith("object.find is missing: a method of")
