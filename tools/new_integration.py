"""Starts the folder of a new vendor: `make new-integration NAME=acme ROLE=carrier`.

What it writes is found by the registry and collected by the contract suite, and fails there until it is done.
"""

import keyword
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from string import Template
from types import ModuleType

from callwright.ports import carrier, crm, voice_agent
from callwright.registry import Role
from tools.skeleton import import_lines, skeleton

REPOSITORY = Path(__file__).resolve().parents[1]
TEMPLATES = Path(__file__).parent / "templates"
_NAME = re.compile(r"^[a-z][a-z0-9_]*$")
_CONTEXT = {"callwright.registry": {"IntegrationContext"}}


class Refused(Exception):
    """The folder cannot be made, and why."""


@dataclass(frozen=True, slots=True)
class Part:
    """How a role is filled: file, class and Protocol, also of its socket's wire protocol if it has one."""

    module: str
    suffix: str
    port: ModuleType
    protocol: str
    wire_module: str = ""
    wire_suffix: str = ""
    wire_protocol: str = ""
    wire_attributes: str = ""


PARTS = {
    Role.CARRIER: Part(
        "carrier",
        "Carrier",
        carrier,
        "Carrier",
        "media",
        "Media",
        "MediaProtocol",
        "buffers_audio = False\n    text_frames = False",
    ),
    Role.VOICE_AGENTS: Part(
        "voice_agents",
        "VoiceAgents",
        voice_agent,
        "VoiceAgents",
        "session",
        "Conversation",
        "AgentProtocol",
        "text_frames = True",
    ),
    Role.CRM: Part("crm", "Crm", crm, "Crm"),
}


def main(arguments: list[str]) -> int:
    """Make the folder that the command line asks for; 2 when it cannot be made."""
    try:
        name, role = arguments
        folder = create(REPOSITORY, name, role)
    except ValueError:
        print("Say both: make new-integration NAME=acme ROLE=" + "|".join(Role), file=sys.stderr)
        return 2
    except Refused as reason:
        print(reason, file=sys.stderr)
        return 2
    print(f"{folder.relative_to(REPOSITORY)}/ is there. docs/adding-an-integration.md tells what comes next.")
    return 0


def create(root: Path, name: str, role_name: str) -> Path:
    """Write the folder of a new integration below a repository's folder; raises Refused."""
    folder = root / "callwright" / "integrations" / name
    _check(folder, name, role_name)
    role = Role(role_name)
    values = _values(name, role)
    for path, text in _files(name, role, values).items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    _format(folder)
    return folder


def _check(folder: Path, name: str, role_name: str) -> None:
    if not _NAME.match(name) or keyword.iskeyword(name):
        raise Refused(f"NAME={name}: use lower-case letters, digits and _, beginning with a letter.")
    if role_name not in set(Role):
        raise Refused(f"ROLE={role_name}: choose one of {', '.join(Role)}.")
    if folder.exists():
        raise Refused(f"NAME={name}: there is an integration of this name.")


def _values(name: str, role: Role) -> dict[str, str]:
    prefix = "".join(word.capitalize() for word in name.split("_"))
    is_carrier = role is Role.CARRIER
    return {
        "name": name,
        "host": name.replace("_", "-"),
        "title": name.replace("_", " ").title(),
        "prefix": prefix,
        "constant": name.upper(),
        "role": role.name,
        "role_words": role.value.replace("_", " "),
        "module": PARTS[role].module,
        "class_name": prefix + PARTS[role].suffix,
        "imports": f"from callwright.integrations.{name}.capabilities import CAPABILITIES"
        if is_carrier
        else "",
        "spec_fields": '    audio_formats=("pcm_16000",),\n    carrier=CAPABILITIES,\n' if is_carrier else "",
    }


def _files(name: str, role: Role, values: dict[str, str]) -> dict[str, str]:
    names = {
        "__init__.py": "__init__.py",
        "settings.py": "settings.py",
        "client.py": "client.py",
        "simulator.py": "simulator.py",
        f"test_{name}.py": "test_integration.py",
        "README.md": "README.md",
        "fixtures/README.md": "fixtures.md",
    }
    if role is Role.CARRIER:
        names["capabilities.py"] = "capabilities.py"
    files = {path: _template(template, values) for path, template in names.items()}
    part = PARTS[role]
    files[f"{part.module}.py"] = _role_file(name, part, values)
    if part.wire_module:
        files[f"{part.wire_module}.py"] = _wire_file(part, values)
    return files


def _role_file(name: str, part: Part, values: dict[str, str]) -> str:
    package = f"callwright.integrations.{name}"
    attributes = f'name = "{name}"'
    imports = {
        f"{package}.client": {f"{values['prefix']}Client"},
        f"{package}.settings": {f"{values['prefix']}Settings"},
        **_CONTEXT,
    }
    if part.module == "carrier":
        attributes += "\n    capabilities = CAPABILITIES"
        imports[f"{package}.capabilities"] = {"CAPABILITIES"}
    head = _template("role_head", values | {"attributes": attributes})
    built = skeleton(part.port, part.protocol, values["class_name"], head)
    title = f'"""{values["title"]} as {values["role_words"]}."""'
    return f"{title}\n\n{import_lines(imports, built.imports)}\n\n\n{built.text}"


def _wire_file(part: Part, values: dict[str, str]) -> str:
    head = _template("wire_head", values | {"attributes": part.wire_attributes})
    built = skeleton(part.port, part.wire_protocol, values["prefix"] + part.wire_suffix, head)
    title = f'"""The wire protocol of {values["title"]}, with the vendor page for each message."""'
    return f"{title}\n\n{import_lines(built.imports)}\n\n\n{built.text}"


def _template(name: str, values: dict[str, str]) -> str:
    return Template((TEMPLATES / f"{name}.txt").read_text(encoding="utf-8")).substitute(values)


def _format(folder: Path) -> None:
    ruff = Path(sys.executable).with_name("ruff")
    config = str(REPOSITORY / "pyproject.toml")
    for command in (["check", "--quiet", "--fix", "--select", "I,D209"], ["format", "--quiet"]):
        subprocess.run([str(ruff), *command, "--config", config, str(folder)], check=True, timeout=60)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
