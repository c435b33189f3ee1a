"""Writes the pages of docs/ that the code itself tells: `make docs`; tests/house checks them."""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from callwright.config import ClientSettings, Settings
from callwright.domain.states import FROM_CARRIER, IN_FLIGHT, LIVE, TRANSITIONS, CallState
from callwright.ports.carrier import CarrierCapabilities
from callwright.registry import IntegrationSpec, Role, integrations
from tools import agent_keys
from tools.command_line import Command, callwright_commands

DOCS = Path(__file__).resolve().parents[1] / "docs"
_NOTICE = "<!-- Written by `make docs` from {source}. Change that instead. -->"


def main() -> None:
    """Write every page that changed, and name it."""
    for name, text in pages().items():
        path = DOCS / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"docs/{name}")


def pages() -> Mapping[str, str]:
    """File name in docs/ -> what it has to hold."""
    return {
        "agents.md": agent_keys.filled((DOCS / "agents.md").read_text(encoding="utf-8")),
        "commands.md": _page("Commands", "callwright/cli", _commands(callwright_commands())),
        "call-states.md": _page("Call states", "callwright/domain/states.py", _call_states()),
        "capabilities.md": _page("Capabilities", "the SPECs of callwright/integrations", _capabilities()),
        "settings.md": _page("Settings", "the settings' models", _settings()),
    }


def outdated(docs: Path) -> list[str]:
    """The generated pages that do not hold what the code tells."""
    return [
        name
        for name, text in pages().items()
        if not (docs / name).is_file() or (docs / name).read_text(encoding="utf-8") != text
    ]


def _page(title: str, source: str, paragraphs: Iterable[str]) -> str:
    return "\n\n".join([_NOTICE.format(source=source), f"# {title}", *paragraphs]) + "\n"


def _commands(found: list[Command]) -> Iterable[str]:
    yield "What `callwright` can do. Each command explains itself with `--help`."
    for command in found:
        yield f"## `{command.name}`"
        yield command.help
        if command.options:
            yield _table(("option", "meaning"), [(f"`{item.name}`", item.help) for item in command.options])


def _call_states() -> Iterable[str]:
    yield "A call is in one of these states; only the signals on the arrows move it."
    yield "\n".join(["```mermaid", "stateDiagram-v2", *_arrows(), "```"])
    locked = ", ".join(f"`{state}`" for state in CallState if state in IN_FLIGHT)
    yield f"While a call is {locked}, no other call to the same number may start."
    live = ", ".join(f"`{state}`" for state in CallState if state in LIVE)
    yield f"The carrier has a call of ours in {live}."
    late = ", ".join(f"`{signal}`" for signal in sorted(FROM_CARRIER))
    yield (
        f"{late} come from the carrier, who may repeat, delay or reorder them: where no arrow leaves the "
        "state, they are stored and change nothing. Any other signal without an arrow is an error of ours "
        "and raises."
    )
    yield _table(
        ("state", "signal", "next state"),
        [(f"`{state}`", f"`{signal}`", f"`{target}`") for state, signal, target in _transitions()],
    )


def _arrows() -> Iterable[str]:
    yield f"    [*] --> {next(iter(CallState))}"
    for state, signal, target in _transitions():
        yield f"    {state} --> {target}: {signal}"
    yield f"    {CallState.DONE} --> [*]"


def _transitions() -> list[tuple[str, str, str]]:
    return [
        (state.value, signal.value, target.value)
        for state, targets in TRANSITIONS.items()
        for signal, target in targets.items()
    ]


def _capabilities() -> Iterable[str]:
    found = list(integrations().values())
    yield "What each integration is, and what the carriers can do."
    yield _table(
        ("integration", "fills", "audio", "vendor's pages"),
        [
            (
                f"[{spec.title}](../callwright/integrations/{spec.name}/README.md)",
                ", ".join(role.value.replace("_", " ") for role in Role if role in spec.roles),
                ", ".join(spec.audio_formats),
                spec.docs_url,
            )
            for spec in found
        ],
    )
    carriers = [spec for spec in found if spec.carrier is not None]
    yield "## Carriers"
    yield _table(("", *(spec.title for spec in carriers)), _carrier_rows(carriers))
    notes = [f"- **{spec.title}**: {note}" for spec in found for note in spec.notes]
    if notes:
        yield "## Notes"
        yield "\n".join(notes)


_CARRIER_ROWS: Mapping[str, str] = {
    "machine_detection": "answering machine detection",
    "recording": "recording by the carrier",
    "say": "speaks a text itself",
    "transfer": "connects a human",
    "dtmf": "tells pressed keys",
    "buffers_audio": "plays from its own buffer",
    "dials_per_second": "calls placed per second, at most",
    "longest_ring_s": "longest ringing, seconds",
}


def _carrier_rows(carriers: list[IntegrationSpec]) -> Iterable[tuple[str, ...]]:
    for item in fields(CarrierCapabilities):
        yield _CARRIER_ROWS[item.name], *(_cell(getattr(spec.carrier, item.name)) for spec in carriers)


def _settings() -> Iterable[str]:
    yield (
        "Settings are read from the environment and from `.env` in the working folder; the environment wins. "
        "`callwright settings` shows them with what is set here."
    )
    yield _settings_table(Settings)
    yield "## Commands that ask a running server"
    asking = "`callwright call`, `calls`, `hold`, `release`, `suppressions` and `crm rewrite`"
    yield f"For {asking}, which may run on another machine."
    yield _settings_table(ClientSettings)
    for spec in integrations().values():
        yield f"## {spec.title}"
        yield "In use as soon as one of these is set."
        yield _settings_table(spec.settings)


def _settings_table(model: type[BaseModel]) -> str:
    return _table(
        ("name", "default", "meaning"),
        [
            (f"`{item.validation_alias or name}`", _default(item), item.description or "")
            for name, item in model.model_fields.items()
        ],
    )


def _default(item: FieldInfo) -> str:
    if item.is_required():
        return "required"
    value = item.get_default(call_default_factory=True, validated_data={})
    return "" if value is None or value == "" else f"`{value}`"


def _cell(value: bool | float) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


if __name__ == "__main__":
    main()
