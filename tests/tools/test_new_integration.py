"""`make new-integration` makes a folder that the registry finds and the house accepts, and that does nothing yet."""

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import callwright.integrations
from callwright.registry import Role
from tests.house.source import REPOSITORY
from tests.house.test_boundaries import shared_code
from tests.house.test_docstrings import empty_docstrings, missing_docstrings
from tests.house.test_integrations import misshapen
from tools.new_integration import PARTS, Refused, create, main

PACKAGE = "callwright.integrations"


@pytest.fixture
def integrations_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A repository's folder from which integrations can be imported too."""
    folder = tmp_path / "callwright" / "integrations"
    monkeypatch.setattr(callwright.integrations, "__path__", [*callwright.integrations.__path__, str(folder)])
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith(f"{PACKAGE}.new_")]:
        del sys.modules[name]
    for role in Role:
        callwright.integrations.__dict__.pop(f"new_{role}", None)


def test_every_role_can_be_started() -> None:
    assert set(PARTS) == set(Role)


@pytest.mark.parametrize("role", list(Role))
def test_a_new_folder_fills_its_role(role: Role, integrations_folder: Path) -> None:
    create(integrations_folder, f"new_{role}", role)
    spec = importlib.import_module(f"{PACKAGE}.new_{role}").SPEC
    module, _, name = spec.roles[role].partition(":")
    filled = getattr(importlib.import_module(module), name)
    asked = {
        item for item in vars(getattr(PARTS[role].port, PARTS[role].protocol)) if not item.startswith("_")
    }
    assert asked <= set(dir(filled))
    assert spec.environment_names() == [f"NEW_{role.upper()}_API_KEY", f"NEW_{role.upper()}_BASE_URL"]


@pytest.mark.parametrize("role", list(Role))
def test_a_new_folder_keeps_the_house_rules(role: Role, tmp_path: Path) -> None:
    folder = create(tmp_path, f"new_{role}", role)
    for check in (misshapen, missing_docstrings, empty_docstrings, shared_code):
        assert check(tmp_path) == []
    ruff = [sys.executable, "-m", "ruff", "check", "--quiet", "--config", str(REPOSITORY / "pyproject.toml")]
    done = subprocess.run(
        [*ruff, "--ignore", "INP001", folder], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == ""


@pytest.mark.parametrize(
    "name,role", [("Acme", "crm"), ("class", "crm"), ("new crm", "crm"), ("", "crm"), ("acme", "baker")]
)
def test_what_cannot_be_made_is_refused(name: str, role: str, tmp_path: Path) -> None:
    with pytest.raises(Refused):
        create(tmp_path, name, role)


def test_an_integration_is_not_overwritten(tmp_path: Path) -> None:
    create(tmp_path, "acme", "crm")
    with pytest.raises(Refused, match="there is an integration"):
        create(tmp_path, "acme", "crm")


def test_the_command_says_what_it_wants(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert main(["acme", ""]) == 2
    assert "ROLE=" in capsys.readouterr().err
