"""Every setting is described, and what the environment holds is not shown."""

import pytest

from callwright.config import declared_variables, load, load_client
from callwright.domain.errors import ConfigurationError
from tests.cli.command import Terminal, line_with, stop


async def test_every_setting_is_described(terminal: Terminal) -> None:
    described = (await terminal.run("settings", "--json", ZOHO_CLIENT_SECRET="s3cret-of-zoho")).json
    rows = {row["name"]: row for group in described.values() for row in group}
    assert set(rows) == set(declared_variables())
    assert all(row["meaning"] for row in rows.values())
    assert rows["ZOHO_CLIENT_SECRET"]["is_set"] is True
    assert rows["ZOHO_CLIENT_SECRET"]["required"] is True
    assert rows["PORT"]["default"] == "8080"


async def test_settings_are_readable_and_secrets_stay_where_they_are(terminal: Terminal) -> None:
    result = await terminal.run("settings", "zoho", ZOHO_CLIENT_SECRET="s3cret-of-zoho")
    assert result.code == 0
    assert "ZOHO_CLIENT_SECRET" in result.out
    assert "s3cret-of-zoho" not in result.out
    assert "OUR_BASE_URL" not in result.out


async def test_an_unknown_group_is_told(terminal: Terminal) -> None:
    result = await terminal.run("settings", "nobody")
    assert result.code == 1
    assert "callwright, client" in result.err


def told(**environment: str) -> list[str]:
    """What is wrong with these settings."""
    with pytest.raises(ConfigurationError) as caught:
        load(environment)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    "name,value,text",
    [
        ("OUR_BASE_URL", "calls.example.com", "does not begin with https://; write it as https://"),
        ("OUR_BASE_URL", "calls.example.com:8080", "does not begin with https://; write it as https://"),
        ("OUR_BASE_URL", "ftp://calls.example.com", "begins with none of https://, http://; write it as"),
        ("OUR_BASE_URL", "https://", "is not the address of a server; write it as"),
        ("OUR_BASE_URL", "https://calls example.com", "is not the address of a server"),
        ("OUR_BASE_URL", "https://calls.example.com:port", "is not the address of a server"),
        ("OUR_BASE_URL", "https://calls.example.com/?a=b", "is not the address of a server"),
        ("MEDIA_BASE_URL", "calls.example.com", "does not begin with wss://; write it as wss://"),
        ("DATABASE_URL", "localhost/callwright", "is not a database URL; write it as postgresql://"),
        ("DATABASE_URL", "mysql://u:p@h/x", "is of another kind of database; write it as postgresql://"),
        ("LOG_LEVEL", "loud", "LOG_LEVEL: 'loud' is none of DEBUG, INFO, WARNING, ERROR."),
        ("DEFAULT_REGION", "XX", "DEFAULT_REGION: 'XX' is not an ISO country code of two letters"),
        ("DEFAULT_REGION", "England", "is not an ISO country code of two letters, such as GB or IN."),
        ("CALLING_HOURS", "9-5", "CALLING_HOURS: '9-5' is not of the form '10:00-19:00 mon-sat'."),
        ("MAX_CONCURRENT_CALLS", "0", "MAX_CONCURRENT_CALLS: is below 1."),
        ("PORT", "many", "PORT: is not a whole number."),
    ],
)
def test_a_value_that_cannot_be_used_is_told_plainly(name: str, value: str, text: str) -> None:
    (problem,) = told(**{name: value})
    assert problem.startswith(f"{name}: ")
    assert text in problem
    assert "Value error" not in problem


def test_a_wrong_database_is_told_without_its_password() -> None:
    assert "secret" not in told(DATABASE_URL="mysql://user:secret@host/name")[0]


def test_values_are_taken_as_people_write_them() -> None:
    settings = load(
        {
            "OUR_BASE_URL": "HTTPS://calls.example.com:8443/phone/",
            "MEDIA_BASE_URL": "wss://[::1]:8080",
            "LOG_LEVEL": "warning",
            "DEFAULT_REGION": "gb",
        }
    ).settings
    assert settings.our_base_url == "https://calls.example.com:8443/phone"
    assert settings.media_base_url == "wss://[::1]:8080"
    assert (settings.log_level, settings.default_region) == ("WARNING", "GB")


@pytest.mark.parametrize(
    "name,meant",
    [
        ("DATABSE_URL", "DATABASE_URL"),
        ("MAX_CONCURENT_CALLS", "MAX_CONCURRENT_CALLS"),
        ("OUR_BASEURL", "OUR_BASE_URL"),
        ("CALLING_HOUR", "CALLING_HOURS"),
        ("port", "PORT"),
        ("database_url", "DATABASE_URL"),
    ],
)
async def test_a_misspelt_setting_in_the_file_keeps_it_from_starting(
    terminal: Terminal, name: str, meant: str
) -> None:
    (terminal.folder / ".env").write_text(f"{name}=1\n")
    result = await terminal.run("agents", "list")
    assert result.code == 2
    assert f"{name}: is not a setting." in result.err
    assert f"Did you mean {meant}?" in result.err


def test_a_misspelt_setting_in_the_environment_is_a_doubt() -> None:
    """The environment is full of names of other programs."""
    environment = {"DATABSE_URL": "x", "LOGLEVEL": "x", "HOSTNAME": "x", "HOSTS": "x", "PATH": "x"}
    doubts = {item.where: item.remedy for item in load(environment).doubts}
    assert doubts == {"DATABSE_URL": "Did you mean DATABASE_URL?", "LOGLEVEL": "Did you mean LOG_LEVEL?"}
    assert load({"LOG_LEVEL": "INFO", "LOGLEVEL": "x"}).doubts == ()


def test_a_misspelt_setting_of_the_client_is_told() -> None:
    with pytest.raises(ConfigurationError, match="Did you mean CALLWRIGHT_API_KEY"):
        load_client({"CALLWRIGHT_APIKEY": "x"})


async def test_doubtful_names_are_told_at_the_start_and_by_check(terminal: Terminal) -> None:
    (terminal.folder / ".env").write_text("COMPOSE_PROJECT_NAME=x\nPROT=8080\n")
    listed = (await terminal.run("check", "--json", DATABSE_URL="x")).json
    doubts = {row["name"]: row["remedy"] for row in listed if row["part"] == "settings"}
    assert doubts == {
        "COMPOSE_PROJECT_NAME": "Remove it, or check its spelling.",
        "DATABSE_URL": "Did you mean DATABASE_URL?",
        "PROT": "Did you mean PORT?",
    }
    server = await terminal.start("serve", "--port", "0", DATABSE_URL="x")
    await line_with(server, "listens on")
    ended = await stop(server)
    for name in doubts:
        assert f"{name}: is not a setting." in ended.err
    assert "DATABSE_URL" in (await terminal.run("agents", "list", DATABSE_URL="x")).err


async def test_a_file_of_settings_that_is_no_text_is_told(terminal: Terminal) -> None:
    (terminal.folder / ".env").write_bytes(b"PORT=\xff\xfe\n")
    result = await terminal.run("agents", "list")
    assert (result.code, "Traceback" in result.err) == (2, False)
    assert ".env: is not UTF-8 text." in result.err
