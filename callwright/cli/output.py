"""What commands print: tables and lines for people, JSON for programs; errors go to standard error."""

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from callwright.domain.errors import ConfigurationError, InvalidInput, Problem

if TYPE_CHECKING:
    from rich.console import Console

_WIDE = 160


@cache
def console() -> "Console":
    """Standard output; wide enough for a table where it is not a terminal."""
    from rich.console import Console

    wanted = None if sys.stdout.isatty() else _WIDE
    return Console(highlight=False, markup=False, emoji=False, soft_wrap=True, width=wanted)


@cache
def error_console() -> "Console":
    """Standard error."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)


def say(text: str, style: str = "") -> None:
    """Print a line."""
    console().print(text, style=style or None)


def warn(text: str) -> None:
    """Print a line to standard error."""
    error_console().print(text, style="yellow")


def print_json(data: Any) -> None:
    """Print data for a program."""
    sys.stdout.write(json.dumps(data, indent=2, ensure_ascii=False, default=str) + "\n")


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str = "") -> None:
    """Print a table; None is an empty cell. The head is left out where no column has a name."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    box, headed = (SIMPLE_HEAD, True) if any(columns) else (None, False)
    made = Table(box=box, show_header=headed, title=title or None, title_justify="left", pad_edge=False)
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in rows:
        made.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    console().print(made)


def plain(value: Any) -> str:
    """A collected value as a person writes it."""
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def moment(value: datetime | str | None) -> str:
    """A moment to the second, UTC."""
    if not value:
        return ""
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    return at.strftime("%Y-%m-%d %H:%M:%S")


def report_problems(problems: Iterable[Problem], *, style: str = "red") -> None:
    """List problems on standard error, each with what to do."""
    for problem in problems:
        error_console().print(f"  - {problem.where}: {problem.what}", style=style)
        if problem.remedy:
            error_console().print(f"    {problem.remedy}")


def report_error(error: Exception) -> None:
    """Tell on standard error what is wrong and what to do."""
    if isinstance(error, ConfigurationError | InvalidInput):
        what = "The settings are" if isinstance(error, ConfigurationError) else "The input is"
        error_console().print(f"{what} not usable:", style="bold red")
        report_problems(error.problems)
    else:
        error_console().print(f"Error: {error}", style="bold red")
