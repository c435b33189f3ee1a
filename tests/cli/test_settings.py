"""Every setting is described, and what the environment holds is not shown."""

from callwright.config import declared_variables
from tests.cli.command import Terminal


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
