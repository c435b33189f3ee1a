"""Commands beside a running server and simulated vendors: check, setup, agents, CRM, calls."""

import asyncio
import csv
import json
import re
from pathlib import Path

import pytest
import yaml

from callwright.simulation.faults import Fault, FaultKind
from tests.cli.command import Terminal
from tests.cli.conftest import BUSY, PERSON, Town

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_check_passes_and_has_a_line_for_everything(town: Town) -> None:
    result = await town.terminal.run("check")
    assert result.code == 0, result.out + result.err
    for part in (
        "data folder",
        "public address",
        "database",
        "infobip (carrier)",
        "elevenlabs",
        "zoho (crm)",
    ):
        assert part in result.out
    assert "leads to a running Callwright" in result.out or "without encryption" in result.out
    listed = (await town.terminal.run("check", "--json")).json
    assert {row["health"] for row in listed} <= {"ok", "warning"}


async def test_check_tells_what_to_do_about_what_does_not_work(town: Town) -> None:
    changes = {"ELEVENLABS_API_KEY": "wrong", "OUR_BASE_URL": "http://127.0.0.1:9"}
    result = await town.terminal.run("check", **changes)
    assert result.code == 1
    failed = [line for line in result.out.splitlines() if line.startswith("failed")]
    assert any("http://127.0.0.1:9/health" in line and "callwright serve" in line for line in failed)
    assert any("elevenlabs" in line for line in failed)
    assert all("->" in line for line in failed)


async def test_check_names_the_command_that_mends_it(town: Town) -> None:
    result = await town.terminal.run("check", OUR_BASE_URL="http://127.0.0.1:9")
    lines = [line for line in result.out.splitlines() if "callwright setup" in line]
    assert lines, result.out
    assert all(re.search(r"-> Run `callwright setup \w+ --apply`\.$", line) for line in lines), lines


async def test_check_without_any_vendor_says_what_is_missing(terminal: Terminal) -> None:
    result = await terminal.run("check")
    assert result.code == 0
    for role in ("carrier", "voice agents", "crm"):
        assert f"{role}: settings: none is configured" in result.out


async def test_setup_shows_no_drift_after_it_was_applied(town: Town) -> None:
    result = await town.terminal.run("setup")
    assert result.code == 0, result.err
    assert "The vendors' side is as it should be." in result.out
    steps = (await town.terminal.run("setup", "infobip", "--json")).json
    assert steps
    assert {step["integration"] for step in steps} == {"infobip"}
    assert {step["action"] for step in steps} == {"unchanged"}


async def test_setup_shows_drift_without_changing_it(town: Town) -> None:
    changed = {"OUR_BASE_URL": "https://other.example"}
    for _ in range(2):
        result = await town.terminal.run("setup", "infobip", **changed)
        assert result.code == 0
        assert "(to do)" in result.out
        assert "Make the changes with `callwright setup infobip --apply`." in result.out
    assert (await town.terminal.run("setup", "nobody")).code == 1
    missing = await town.terminal.run("setup", OUR_BASE_URL="")
    assert missing.code == 2
    assert "OUR_BASE_URL" in missing.err


async def test_agents_are_listed_shown_and_imported_again(town: Town) -> None:
    assert "test-agent" in (await town.terminal.run("agents", "list")).out
    (listed,) = (await town.terminal.run("agents", "list", "--json")).json
    assert (listed["name"], listed["version"]) == ("test-agent", 1)
    shown = await town.terminal.run("agents", "show", "test-agent")
    assert yaml.safe_load(shown.out) == yaml.safe_load(town.agent_file.read_text())
    again = await town.terminal.run("agents", "import", "agent.yaml")
    assert again.out == "test-agent: version 1\n"
    assert (await town.terminal.run("agents", "check", "agent.yaml")).out == "test-agent: usable\n"
    assert (await town.terminal.run("agents", "show", "nobody")).code == 1


async def test_problems_of_all_files_are_told_at_once_and_nothing_is_stored(town: Town) -> None:
    folder = town.terminal.folder
    good = yaml.safe_load(town.agent_file.read_text()) | {"name": "not-stored"}
    (folder / "wrong.yaml").write_text(yaml.safe_dump({"name": "Bad Name", "colour": "red"}))
    (folder / "broken.yaml").write_text("name: [")
    (folder / "empty.yaml").write_text("")
    (folder / "good.yaml").write_text(yaml.safe_dump(good))
    files = ("good.yaml", "wrong.yaml", "broken.yaml", "empty.yaml", "missing.yaml")
    result = await town.terminal.run("agents", "import", *files)
    assert result.code == 2
    for text in ("wrong.yaml: name", "wrong.yaml: colour", "wrong.yaml: carrier", *files[2:]):
        assert text in result.err
    assert "Traceback" not in result.err
    unfit = good | {"carrier": "pigeon"}
    (folder / "unfit.yaml").write_text(yaml.safe_dump_all([good, unfit]))
    result = await town.terminal.run("agents", "import", "unfit.yaml")
    assert result.code == 2
    assert "'pigeon' is not configured" in result.err
    assert "not-stored" not in (await town.terminal.run("agents", "list")).out


async def test_an_agent_is_archived_and_brought_back(town: Town) -> None:
    other = yaml.safe_load(town.agent_file.read_text()) | {"name": "seasonal"}
    (town.terminal.folder / "seasonal.yaml").write_text(yaml.safe_dump(other))
    await town.terminal.run("agents", "import", "seasonal.yaml")
    assert (await town.terminal.run("agents", "archive", "seasonal")).code == 0
    assert "seasonal" not in (await town.terminal.run("agents", "list")).out
    refused = await town.terminal.run("call", "seasonal", "--phone", PERSON)
    assert refused.code == 1
    assert "seasonal" in refused.err


async def test_crm_fields_and_the_mapping(town: Town) -> None:
    fields = (await town.terminal.run("crm", "fields", "Leads", "--json")).json
    assert {"Mobile", "Interested", "Call_Outcome"} <= {field["name"] for field in fields}
    assert "Interested" in (await town.terminal.run("crm", "fields", "Leads")).out
    assert (await town.terminal.run("crm", "fields", "Starships")).code == 1

    record = town.stage.record_of[PERSON]
    tried = await town.terminal.run("crm", "test-mapping", "test-agent", "--record", record)
    assert tried.code == 0, tried.err
    assert f"It would call {PERSON}" in tried.out
    assert "Person1" in tried.out
    missing = await town.terminal.run("crm", "test-mapping", "test-agent", "--record", "1")
    assert missing.code == 2
    assert "does not exist" in missing.err


async def test_a_call_is_followed_to_its_end(town: Town) -> None:
    record = town.stage.record_of[PERSON]
    result = await town.terminal.run("call", "test-agent", "--record", record, "--tag", "batch=cli", "--wait")
    assert result.code == 0, result.out + result.err
    for text in (
        "ringing",
        "talking",
        "agent: Hello Person1, this is Northwind.",
        "person: ",
        "done",
        "completed",
    ):
        assert text in result.out
    assert "budget = 500" in result.out
    assert "CRM written" in result.out


async def test_a_call_that_was_not_completed_exits_with_1(town: Town) -> None:
    record = town.stage.record_of[BUSY]
    result = await town.terminal.run("call", "test-agent", "--record", record, "--wait", "--json")
    assert result.code == 1
    assert result.json["end_reason"] == "busy"


async def test_calls_are_listed_shown_and_exported(town: Town) -> None:
    phone = "+447700900299"
    placed = await town.terminal.run(
        "call", "test-agent", "--phone", phone, "--var", "product= =1+1", "--json"
    )
    call_id = placed.json["id"]
    assert call_id in (await town.terminal.run("calls", "list", "--phone", phone)).out
    listed = (await town.terminal.run("calls", "list", "--limit", "1", "--json")).json
    assert [item["id"] for item in listed] == [call_id]
    shown = await town.terminal.run("calls", "show", call_id, "--events", "--transcript")
    assert phone in shown.out
    assert "created" in shown.out
    assert (await town.terminal.run("calls", "show", call_id, "--events", "--json")).json["events"]

    as_csv = town.terminal.folder / "calls.csv"
    result = await town.terminal.run("calls", "export", "--output", str(as_csv))
    assert f"calls are in {as_csv}" in result.out
    rows = list(csv.DictReader(as_csv.read_text(encoding="utf-8").splitlines()))
    row = next(row for row in rows if row["id"] == call_id)
    assert (row["agent"], row["phone"]) == ("test-agent", phone)
    as_lines = await town.terminal.run("calls", "export", "--format", "jsonl", "--agent", "test-agent")
    assert call_id in {json.loads(line)["id"] for line in as_lines.out.splitlines()}


async def test_hang_up(town: Town) -> None:
    placed = await town.terminal.run("call", "test-agent", "--phone", "+447700900298", "--json")
    call_id = placed.json["id"]
    ended = await town.terminal.run("calls", "hang-up", call_id)
    # It may be over already: nobody has this number.
    assert ended.code == 0 or "is over" in ended.err
    assert (await town.terminal.run("calls", "hang-up", "067a")).code == 1


async def test_dialling_is_held_and_released(town: Town) -> None:
    held = await town.terminal.run("hold", "--reason", "the office is closed")
    try:
        assert held.code == 0, held.err
        assert "the office is closed" in held.out
        placed = await town.terminal.run(
            "call", "test-agent", "--record", town.stage.record_of[BUSY], "--json"
        )
        told = "Dialling is on hold since"
        assert told in placed.err
        listed = await town.terminal.run("calls", "list")
        assert told in listed.err
        assert "the office is closed. `callwright release` ends it." in listed.err
        shown = await town.terminal.run("calls", "show", placed.json["id"], "--json")
        assert shown.json["dialed_at"] is None
    finally:
        released = await town.terminal.run("release")
    assert released.code == 0, released.err
    assert told not in (await town.terminal.run("calls", "list")).err
    async with asyncio.timeout(30):
        while shown.json["state"] != "done":
            shown = await town.terminal.run("calls", "show", placed.json["id"], "--json")
    assert shown.json["end_reason"] == "busy"


async def test_a_key_that_only_places_calls_is_enough_while_dialling_is_held(town: Town) -> None:
    given = {}
    for name, scope in (("placer", "calls:write"), ("holder", "dialing:hold")):
        key = await town.terminal.run("keys", "create", name, "--scope", scope, "--json")
        given[name] = {"CALLWRIGHT_API_KEY": key.json["key"]}
    refused = await town.terminal.run("hold", **given["placer"])
    assert refused.code != 0
    assert "dialing:hold" in refused.err
    try:
        assert (await town.terminal.run("hold", **given["holder"])).code == 0
        placed = await town.terminal.run("call", "test-agent", "--phone", "+447700900297", **given["placer"])
        assert placed.code == 0, placed.err
    finally:
        assert (await town.terminal.run("release", **given["holder"])).code == 0


async def test_numbers_are_suppressed_listed_and_allowed_again(town: Town) -> None:
    phone = "+447700900280"
    added = await town.terminal.run(
        "suppressions", "add", phone, "--reason", "asked by e-mail", "--evidence", "ticket 1"
    )
    assert added.code == 0, added.err
    assert added.out == f"{phone} is not called, for good: asked by e-mail\n"
    (listed,) = (await town.terminal.run("suppressions", "list", "--json")).json
    assert (listed["phone"], listed["evidence"], listed["expires_at"]) == (phone, "ticket 1", None)
    assert "asked by e-mail" in (await town.terminal.run("suppressions", "list")).out
    removed = await town.terminal.run("suppressions", "remove", "+44 7700 900280")
    assert removed.code == 0, removed.err
    again = await town.terminal.run("suppressions", "remove", phone)
    assert again.code == 1
    assert "is not on the suppression list" in again.err
    until = await town.terminal.run(
        "suppressions", "add", phone, "--reason", "later", "--until", "2099-01-01T00:00:00Z"
    )
    assert "until 2099-01-01 00:00:00 UTC" in until.out
    assert (await town.terminal.run("suppressions", "remove", phone)).code == 0


async def test_records_are_found_by_number_and_by_condition(town: Town) -> None:
    record = town.stage.record_of[PERSON]
    (found,) = (await town.terminal.run("crm", "find", "+44 7700 900201", "--json")).json
    assert found["id"] == record
    shown = await town.terminal.run("crm", "find", PERSON, "--field", "First_Name")
    assert shown.code == 0, shown.err
    assert record in shown.out
    assert "Person1" in shown.out
    assert "Mobile: +447700900201" in (await town.terminal.run("crm", "find", PERSON)).out
    nobody = await town.terminal.run("crm", "find", "+447700900999")
    assert (nobody.code, "There is no such record." in nobody.err) == (0, True)
    condition = "First_Name = 'Person1'"
    queried = await town.terminal.run(
        "crm", "query", condition, "--field", "First_Name", "--field", "Mobile", "--json"
    )
    assert queried.json == [{"id": record, "First_Name": "Person1", "Mobile": PERSON}]
    refused = await town.terminal.run("crm", "query", "First_Name is", "--field", "First_Name")
    assert (refused.code, "Traceback" in refused.err) == (1, False)


async def test_what_the_crm_did_not_take_is_written_again(town: Town) -> None:
    town.stage.crm.faults.add(Fault("POST /crm/v8/Calls", FaultKind.STATUS, status=400, body={}))
    call = await town.terminal.run(
        "call", "test-agent", "--record", town.stage.record_of[BUSY], "--wait", "--json"
    )
    assert call.json["crm_state"] == "partly"
    call_id = call.json["id"]
    again = await town.terminal.run("crm", "rewrite", call_id)
    assert again.code == 0, again.err
    assert call_id in again.out
    state = ""
    async with asyncio.timeout(30):
        while state != "written":
            state = (await town.terminal.run("calls", "show", call_id, "--json")).json["crm_state"]
    refused = await town.terminal.run("crm", "rewrite", call_id)
    assert refused.code == 1
    assert "the CRM has taken all" in refused.err


@pytest.mark.parametrize(
    "arguments,environment,code,text",
    [
        (["suppressions", "add", "1234", "--reason", "x"], {}, 2, "has no country code"),
        (["suppressions", "add", PERSON, "--reason", "x", "--until", "soon"], {}, 2, "expires_at"),
        (["suppressions", "add", PERSON], {}, 2, "--reason"),
        (["hold", "--reason", "x" * 201], {}, 2, "longer than 200 characters"),
        (["crm", "rewrite", "067a"], {}, 1, "067a"),
        (["crm", "find", "12"], {}, 2, "has no country code"),
        (["call", "test-agent"], {}, 2, "Give either"),
        (["call", "test-agent", "--phone", "12"], {}, 2, "phone"),
        (["call", "test-agent", "--phone", PERSON, "--var", "x"], {}, 2, "is not name=value"),
        (["call", "test-agent", "--phone", PERSON, "--var", "shoe=44"], {}, 2, "variables.shoe"),
        (["calls", "list", "--state", "asleep"], {}, 2, "query state"),
        (["calls", "export", "--format", "xml"], {}, 2, "csv, jsonl"),
        (["calls", "export", "--output", "/nowhere/x.csv"], {}, 2, "cannot be written"),
        (["calls", "list"], {"CALLWRIGHT_API_KEY": ""}, 2, "callwright keys create"),
        (["calls", "list"], {"CALLWRIGHT_API_KEY": "cw_wrong"}, 1, "not known, or was revoked"),
        (["calls", "list"], {"CALLWRIGHT_URL": "http://127.0.0.1:9"}, 1, "callwright serve"),
        (["calls", "list", "--url", "127.0.0.1"], {}, 2, "is not an http address"),
        (["calls", "list"], {"CALLWRIGHT_URL": "ftp://x"}, 2, "CALLWRIGHT_URL"),
    ],
)
async def test_what_is_wrong_is_told_without_a_traceback(
    town: Town, arguments: list[str], environment: dict[str, str], code: int, text: str
) -> None:
    result = await town.terminal.run(*arguments, **environment)
    assert (result.code, "Traceback" in result.err) == (code, False), result.err
    assert text in result.err


async def test_something_else_at_the_address_is_noticed(town: Town) -> None:
    result = await town.terminal.run("calls", "list", "--url", town.stage.crm.base_url)
    assert result.code == 1
    assert "not as Callwright does" in result.err or "is not Callwright" in result.err


async def test_a_file_of_its_own_settings_is_read(town: Town, tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    key = town.terminal.environment["CALLWRIGHT_API_KEY"]
    url = f"http://127.0.0.1:{town.stage.port}"
    (tmp_path / ".env").write_text(f"CALLWRIGHT_API_KEY={key}\nCALLWRIGHT_URL={url}/\n")
    assert (await terminal.run("calls", "list")).code == 0
