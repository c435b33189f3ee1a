"""Options that several commands share: a parameter whose type is one of these groups becomes the group's options."""

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

if TYPE_CHECKING:
    from callwright.cli.client import Client

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@dataclasses.dataclass(frozen=True, slots=True)
class Server:
    """Which running server to ask, and with which key."""

    url: Annotated[
        str, typer.Option("--url", help="The server; default CALLWRIGHT_URL, OUR_BASE_URL, this machine.")
    ] = ""
    key: Annotated[str, typer.Option("--key", help="API key; default CALLWRIGHT_API_KEY.")] = ""

    def connect(self) -> "Client":
        """A client of it; raises ConfigurationError."""
        from callwright.cli.client import Client

        return Client.connect(self.url, self.key)


@dataclasses.dataclass(frozen=True, slots=True)
class Filters:
    """Which calls."""

    state: Annotated[str | None, typer.Option(help="Only calls in this state, such as talking or done.")] = (
        None
    )
    agent: Annotated[str | None, typer.Option(help="Only calls of this agent.")] = None
    phone: Annotated[str | None, typer.Option(help="Only calls to this number.")] = None
    record: Annotated[str | None, typer.Option(help="Only calls about this CRM record.")] = None
    outcome: Annotated[str | None, typer.Option(help="Only calls that ended so, such as no_answer.")] = None
    since: Annotated[
        str | None, typer.Option(help="Created then or later, such as 2026-11-20T00:00:00Z.")
    ] = None
    before: Annotated[str | None, typer.Option(help="Created earlier than that.")] = None

    def query(self) -> dict[str, str | None]:
        """As parameters of the REST API."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}


@dataclasses.dataclass(frozen=True, slots=True)
class Following:
    """Whether to follow the call, and how long."""

    wait: Annotated[bool, typer.Option("--wait", help="Follow the call until it is over.")] = False
    wait_limit: Annotated[int, typer.Option(help="Follow it for at most so many seconds.", min=1)] = 3600


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of every group among its parameters."""
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {name: kind for name, kind in hints.items() if dataclasses.is_dataclass(kind)}
    parameters = [
        item
        for parameter in inspect.signature(command).parameters.values()
        for item in _options(parameter, hints[parameter.name])
    ]

    @functools.wraps(command)
    def run(**given: Any) -> None:
        made = {
            name: kind(**{field.name: given.pop(field.name) for field in dataclasses.fields(kind)})
            for name, kind in groups.items()
        }
        command(**given, **made)

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # read by inspect, and by Typer
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def _options(parameter: inspect.Parameter, kind: Any) -> list[inspect.Parameter]:
    if not dataclasses.is_dataclass(kind):
        return [parameter.replace(annotation=kind, kind=inspect.Parameter.KEYWORD_ONLY)]
    hints = get_type_hints(kind, include_extras=True)
    return [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
        )
        for field in dataclasses.fields(kind)
    ]
