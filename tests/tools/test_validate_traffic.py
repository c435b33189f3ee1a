"""What recorded traffic is held to: specifications of a few lines, and messages that break each rule."""

import json
from pathlib import Path
from typing import Any

import pytest

from tools.traffic.documents import Documents, Erratum, schema_uri
from tools.traffic.problems import Checker
from tools.validate_traffic import main

CALL = {"endpoint": {"type": "PHONE", "phoneNumber": "447700900123"}, "maxDuration": 60}
SCHEMAS: dict[str, Any] = {
    "CallRequest": {
        "type": "object",
        "required": ["endpoint"],
        "properties": {
            "endpoint": {"$ref": "#/components/schemas/Endpoint"},
            "maxDuration": {"type": "integer", "format": "int32"},
            "customData": {"type": "object", "additionalProperties": {"type": "string"}},
            "note": {"type": "string", "nullable": True},
            "choice": {"oneOf": [{"type": "object", "properties": {"a": {}}}, {"type": "string"}]},
        },
    },
    "Endpoint": {
        "type": "object",
        "properties": {"type": {"type": "string", "enum": ["PHONE", "SIP"]}},
        "discriminator": {
            "propertyName": "type",
            "mapping": {"PHONE": "#/components/schemas/Phone", "SIP": "#/components/schemas/Sip"},
        },
    },
    "Phone": {
        "allOf": [
            {"$ref": "#/components/schemas/Endpoint"},
            {"type": "object", "properties": {"phoneNumber": {"type": "string"}}},
        ],
        "required": ["phoneNumber"],
    },
    "Sip": {
        "allOf": [
            {"$ref": "#/components/schemas/Endpoint"},
            {"type": "object", "properties": {"host": {"type": "string"}}},
        ],
        "required": ["host"],
    },
    "Event": {"type": "object", "properties": {"type": {"type": "string"}}},
}
CALLS = {
    "openapi": "3.1.0",
    "paths": {
        "/calls": {
            "post": {
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/CallRequest"}}},
                },
                "responses": {"201": {"content": {"application/json": {"schema": {"required": ["id"]}}}}},
            },
            "get": {
                "parameters": [
                    {"name": "page", "in": "query", "schema": {"type": "integer"}},
                    {"name": "to", "in": "query", "required": True, "schema": {"type": "string"}},
                ],
                "responses": {},
            },
        },
        "/calls/{callId}": {"get": {"responses": {}}},
        "/calls/history": {"get": {"responses": {}}},
    },
    "components": {"schemas": SCHEMAS},
}
SOCKET = {
    "asyncapi": "2.6.0",
    "channels": {
        "agent": {
            "subscribe": {
                "message": {
                    "oneOf": [
                        {
                            "payload": {
                                "type": "object",
                                "properties": {"user_audio_chunk": {"type": "string"}},
                            }
                        },
                        {"$ref": "#/components/messages/Pong"},
                    ]
                }
            },
            "publish": {"message": {"payload": {"properties": {"type": {"const": "ping"}}}}},
        }
    },
    "components": {
        "messages": {"Pong": {"payload": {"$ref": "#/components/schemas/Pong"}}},
        "schemas": {
            "Pong": {
                "type": "object",
                "required": ["type", "event_id"],
                "properties": {"type": {"const": "pong"}, "event_id": {"type": "integer"}},
            }
        },
    },
}
TALK = {"openapi": "3.1.0", "paths": {}, "components": {"schemas": {}}}
ERRATA: dict[str, Any] = {
    "GetConversationResponseModel": {"properties": {}},
    "AgentPlatformSettingsRequestModel": {},
    "ConversationalConfigAPIModel-Input": {},
}


@pytest.fixture
def specs(tmp_path: Path) -> Path:
    """Two vendors' specifications, under names that the tool looks for."""
    files = {
        "infobip/infobip-calls-subset.openapi.json": CALLS,
        "infobip/infobip-subscriptions-api-openapi.json": {"openapi": "3.1.0", "paths": {}},
        "elevenlabs/openapi.json": {**TALK, "components": {"schemas": ERRATA}},
        "elevenlabs/agent.asyncapi.yaml": SOCKET,
    }
    for name, content in files.items():
        path = tmp_path / "specs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
    return tmp_path / "specs"


def record(specs: Path, vendor: str, *rows: dict[str, Any]) -> list[str]:
    """Arguments of the tool for recorded rows."""
    folder = specs.parent / "traffic"
    folder.mkdir(exist_ok=True)
    usual: dict[str, Any] = {
        "direction": "in",
        "query": {},
        "body": None,
        "status": 200,
        "answer": None,
        "path": "",
    }
    lines = [json.dumps({**usual, **row}) for row in rows]
    (folder / f"{vendor}.jsonl").write_text("\n".join(lines) + "\n")
    return [str(folder), str(specs)]


def request(name: str, **given: Any) -> dict[str, Any]:
    return {"kind": "http", "name": name, "path": name.partition(" ")[2], **given}


@pytest.mark.parametrize(
    "row",
    [
        request("POST /calls", body=CALL),
        request("POST /calls", body={"endpoint": {"type": "SIP", "host": "a"}, "note": None}),
        request("POST /calls", body={**CALL, "customData": {"anything": "goes"}, "choice": {"a": 1}}),
        request("GET /calls", query={"to": "447700900123", "page": "2"}),
        request("GET /calls/history"),
        request("GET /calls/17"),
        request("GET /__admin/anything"),
    ],
    ids=lambda row: row["name"],
)
def test_what_the_specification_allows_is_good(
    specs: Path, capsys: pytest.CaptureFixture[str], row: dict[str, Any]
) -> None:
    assert main(record(specs, "infobip", row)) == 0, capsys.readouterr().out


@pytest.mark.parametrize(
    "row,told",
    [
        (request("POST /calls", body={**CALL, "maxDurations": 60}), "'maxDurations' was unexpected"),
        (request("POST /calls", body={**CALL, "maxDuration": "60"}), "body.maxDuration: '60' is not of type"),
        (request("POST /calls", body={**CALL, "maxDuration": 2**31}), "is not a 'int32'"),
        (request("POST /calls", body={"maxDuration": 60}), "'endpoint' is a required property"),
        (request("POST /calls", body={"endpoint": {"type": "PHONE", "host": "a"}}), "'phoneNumber'"),
        (
            request("POST /calls", body={"endpoint": {"type": "PHONE", "phoneNumber": "1", "host": "a"}}),
            "body.endpoint: Unevaluated properties are not allowed ('host' was unexpected)",
        ),
        (request("POST /calls", body={"endpoint": {"type": "FAX"}}), "'FAX' is not one of"),
        (request("POST /calls", body={**CALL, "choice": {"b": 1}}), "'b' was unexpected"),
        (request("POST /calls", body={**CALL, "customData": {"n": 1}}), "1 is not of type 'string'"),
        (request("POST /calls"), "the body is missing"),
        (request("GET /calls", query={"to": "1", "pages": "2"}), "query pages: is unknown"),
        (request("GET /calls", query={"to": "1", "page": "two"}), "query page: 'two' is not of type"),
        (request("GET /calls"), "query to: is missing"),
        (request("GET /calls", query={"to": ""}), "query to: has no value"),
        (request("GET /calls", query={"to": ["1", "2"]}), "query to: ['1', '2'] is not of type 'string'"),
        (request("GET /calls/history", body={}), "has a body, and the operation takes none"),
        (request("POST /call"), "unknown: line 1, POST /call"),
        (request("DELETE /calls/17"), "unknown: line 1, DELETE /calls/17"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_it_does_not_allow_is_found(
    specs: Path, capsys: pytest.CaptureFixture[str], row: dict[str, Any], told: str
) -> None:
    assert main(record(specs, "infobip", row)) == 1
    assert told in capsys.readouterr().out


def test_messages_are_judged_by_their_type(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def message(body: dict[str, Any], direction: str = "in") -> dict[str, Any]:
        return {"kind": "ws", "name": body.get("type", "audio"), "body": body, "direction": direction}

    good = message({"type": "pong", "event_id": 1}), message({"user_audio_chunk": "AAAA"})
    assert main(record(specs, "elevenlabs", *good)) == 0
    wrong = (
        message({"type": "pong"}),
        message({"type": "pong", "event_id": 1, "ms": 2}),
        message({"type": "pang"}),
        message({"type": "no such message"}, "out"),
    )
    assert main(record(specs, "elevenlabs", *wrong)) == 1
    assert "3 messages of 2 kinds, 2 violations, 1 unknown" in capsys.readouterr().out


def test_the_request_that_opens_a_websocket_is_judged(
    specs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def upgrade(**query: Any) -> dict[str, Any]:
        return request("GET /v1/convai/conversation", kind="upgrade", query=query, status=101)

    assert main(record(specs, "elevenlabs", upgrade(agent_id="a", conversation_signature="***"))) == 0
    wrong = (upgrade(conversation_signature="x"), upgrade(agent_id="a", agent="b"))
    assert main(record(specs, "elevenlabs", *wrong)) == 1
    told = capsys.readouterr().out
    assert "query agent_id: is missing" in told
    assert "query agent: is unknown" in told


def test_texts_on_a_media_socket_are_judged(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def message(body: Any, direction: str = "in", **more: Any) -> dict[str, Any]:
        return {"kind": "ws", "name": "text", "body": body, "direction": direction, **more}

    hello = {"event": "websocket:connected", "content-type": "audio/l16;rate=16000", "attempt_id": "1"}
    good = message({"action": "clear"}), message(hello, "out"), message("{no", "out", forged=True)
    assert main([*record(specs, "infobip", *good), "--simulators"]) == 0, capsys.readouterr().out
    wrong = (
        message({"action": "clear", "now": True}),
        message({"action": "pause"}),
        message("{no"),
        message({"event": "websocket:dtmf", "digit": "17", "duration": 250}, "out"),
    )
    assert main([*record(specs, "infobip", *wrong), "--simulators"]) == 1
    told = capsys.readouterr().out
    assert "infobip: 3 messages of 1 kinds, 1 violations, 2 unknown" in told
    assert "infobip, its simulator: 1 messages of 1 kinds, 1 violations" in told


def test_answers_that_a_fault_made_are_left_out(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    forged = request("POST /calls", body=CALL, status=201, answer={}, forged=True)
    assert main([*record(specs, "infobip", forged), "--simulators"]) == 0
    assert "infobip, its simulator: 0 messages" in capsys.readouterr().out


def test_answers_that_the_specification_says_nothing_about_are_told(
    specs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = (
        request("POST /calls", body=CALL, status=418, answer={"short": "stout"}),
        request("POST /calls", body=CALL, status=204),
    )
    assert main([*record(specs, "infobip", *rows), "--simulators"]) == 0
    told = capsys.readouterr().out
    assert "infobip, its simulator: 0 messages" in told
    assert "not described, so not checked: 1 answers, such as 418 to POST /calls" in told


def test_a_specification_is_mended_where_it_is_known_to_be_wrong() -> None:
    thing = {
        "type": "object",
        "required": ["a", "b"],
        "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
    }
    document = {"openapi": "3.1.0", "paths": {}, "components": {"schemas": {"Thing": thing}}}
    erratum = Erratum("*.json", "Thing", {}, "so it is", absent=frozenset({"b"}), nullable=("a",))
    documents = Documents({"thing.json": document}, (erratum,))
    schema = documents.site_of(schema_uri("thing.json", "Thing"))
    checker = Checker(documents)
    assert checker.problems(schema, {"a": None}, "thing") == []
    assert checker.problems(schema, {"b": "x"}, "thing") == ["thing: 'a' is a required property"]
    assert checker.problems(schema, {"a": "x", "b": None}, "thing")


def test_simulators_are_judged_on_demand(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = (
        request("POST /calls", body=CALL, status=201, answer={}),
        {"kind": "webhook", "name": "X", "direction": "out", "body": {"type": "X", "more": 1}},
    )
    arguments = record(specs, "infobip", *rows)
    assert main(arguments) == 0
    assert main([*arguments, "--simulators"]) == 1
    told = capsys.readouterr().out
    assert "201 to POST /calls: answer: 'id' is a required property" in told
    assert "webhook X: webhook: Unevaluated properties are not allowed ('more' was unexpected)" in told


def test_a_vendor_without_a_specification_is_not_passed_over(
    specs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(record(specs, "acme", request("GET /calls"))) == 1
    assert "acme (no specification): 1 messages" in capsys.readouterr().out


def test_nothing_to_check_is_an_error(specs: Path) -> None:
    assert main([str(specs), str(specs)]) == 2
