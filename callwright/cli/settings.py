"""`callwright settings`: everything that can be set."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from callwright.cli.output import print_json, say, table

if TYPE_CHECKING:
    from pydantic import BaseModel


def settings(
    group: Annotated[
        str, typer.Argument(help="Only these: callwright, client, or an integration's name.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Describe every setting, and tell which are set."""
    from callwright.config import read_environment
    from callwright.domain.errors import NotFound

    given = {name for name, value in read_environment().items() if value.strip()}
    groups = _groups()
    if group and group not in groups:
        raise NotFound(f"there are no settings of {group!r}; there are: {', '.join(groups)}")
    chosen = {group: groups[group]} if group else groups
    described = {name: _describe(model, given) for name, model in chosen.items()}
    if as_json:
        print_json(described)
        return
    say("Read from the environment and from .env in the working folder; the environment wins.")
    for name, rows in described.items():
        shown = [
            (row["name"], row["meaning"], row["default"], "set" if row["is_set"] else "") for row in rows
        ]
        table(("setting", "meaning", "default", ""), shown, title=name)


def _groups() -> "dict[str, type[BaseModel]]":
    from callwright.config import ClientSettings, Settings
    from callwright.registry import integrations

    vendors = {name: spec.settings for name, spec in sorted(integrations().items())}
    return {"callwright": Settings, "client": ClientSettings, **vendors}


def _describe(model: "type[BaseModel]", given: set[str]) -> list[dict[str, Any]]:
    rows = []
    for name, field in model.model_fields.items():
        variable = str(field.validation_alias or name)
        default = "required" if field.is_required() else field.get_default(call_default_factory=True)
        shown = "" if default is None else str(default)
        rows.append(
            {
                "name": variable,
                "meaning": field.description or "",
                "default": shown,
                "required": field.is_required(),
                "is_set": variable in given,
            }
        )
    return rows
