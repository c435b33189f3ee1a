"""Keys are made, listed and revoked; the key itself is shown once."""

from tests.cli.command import Terminal


async def test_a_key_is_shown_once_listed_and_revoked(terminal: Terminal) -> None:
    made = await terminal.run("keys", "create", "console", "--scope", "calls:read", "--scope", "agents:read")
    assert made.code == 0
    (secret,) = [line.strip() for line in made.out.splitlines() if line.startswith("cw_")]
    assert len(secret) > 40

    listed = await terminal.run("keys", "list", "--json")
    (key,) = listed.json
    assert (key["name"], key["scopes"], key["revoked_at"]) == ("console", ["agents:read", "calls:read"], None)
    assert secret not in listed.out
    assert "console" in (await terminal.run("keys", "list")).out

    assert (await terminal.run("keys", "revoke", "console")).code == 0
    assert (await terminal.run("keys", "list", "--json")).json[0]["revoked_at"]
    again = await terminal.run("keys", "revoke", key["id"])
    assert again.code == 1
    assert "callwright keys list" in again.err


async def test_two_keys_of_one_name_need_the_id(terminal: Terminal) -> None:
    ids = [
        (await terminal.run("keys", "create", "twin", "--scope", "admin", "--json")).json["id"]
        for _ in range(2)
    ]
    unclear = await terminal.run("keys", "revoke", "twin")
    assert unclear.code == 2
    assert all(key_id in unclear.err for key_id in ids)
    assert (await terminal.run("keys", "revoke", ids[0])).code == 0


async def test_an_unknown_scope_is_refused_with_those_there_are(terminal: Terminal) -> None:
    result = await terminal.run("keys", "create", "x", "--scope", "everything")
    assert result.code == 2
    assert "calls:write" in result.err
    assert (await terminal.run("keys", "create", "x")).code == 2
