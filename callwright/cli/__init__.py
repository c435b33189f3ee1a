"""The command `callwright`. Modules here import what they need inside their commands, so that help comes fast."""

import sys

import typer

from callwright.cli import (
    agents,
    calls,
    check,
    crm,
    hold,
    keys,
    place,
    serve,
    settings,
    setup,
    suppressions,
    version,
)
from callwright.cli.output import report_error
from callwright.domain.errors import CallwrightError, ConfigurationError, InvalidInput

app = typer.Typer(
    name="callwright",
    help="Outbound phone calls held by AI voice agents.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command(
    "demo",
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
)
def demo(context: typer.Context) -> None:
    """Place calls in a simulated world; needs no account."""
    from callwright.cli.demo import demo as run

    inner = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    inner.command(context_settings={"help_option_names": ["-h", "--help"]})(run)
    inner(args=context.args, prog_name="callwright demo")


app.command("serve")(serve.serve)
app.command("check")(check.check)
app.command("setup")(setup.setup)
app.command("settings")(settings.settings)
app.command("call")(place.call)
app.add_typer(calls.app, name="calls")
app.command("hold")(hold.hold)
app.command("release")(hold.release)
app.add_typer(suppressions.app, name="suppressions")
app.add_typer(agents.app, name="agents")
app.add_typer(crm.app, name="crm")
app.add_typer(keys.app, name="keys")
app.command("version")(version.version)


def main() -> None:
    """Run the command line; errors that a person can mend are told without a traceback.

    Exits with 2 when settings or input are wrong, with 1 when something else did not work.
    """
    try:
        app()
    except (ConfigurationError, InvalidInput) as error:
        report_error(error)
        sys.exit(2)
    except CallwrightError as error:
        report_error(error)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
