"""Which specifications apply to which vendor, and where they say too little or contradict the vendor's pages."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tools.traffic.documents import Erratum, schema_uri

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Socket:
    """A websocket's AsyncAPI document; `sent` and `received` are its keys for our messages and the vendor's.

    `tags`: the fields of a message that tell its type.
    """

    file: str
    sent: str
    received: str
    tags: tuple[str, ...] = ("type",)


@dataclass(frozen=True, slots=True)
class Vendor:
    """`files`: patterns of OpenAPI documents. `by_hand`: documents written from the vendor's pages.

    `bodies`: operation -> field -> (file, schema) where the operation leaves the field's value free.
    `webhooks`: (file, schema) of what the vendor posts to us.
    """

    files: tuple[str, ...]
    socket: Socket | None = None
    by_hand: Mapping[str, Json] = field(default_factory=dict)
    bodies: Mapping[str, Mapping[str, tuple[str, str]]] = field(default_factory=dict)
    webhooks: tuple[str, str] | None = None
    errata: tuple[Erratum, ...] = ()

    def fields(self, operation: str, names: Mapping[str, str]) -> dict[str, Any]:
        """Schemas of the fields that an operation leaves free; `names` are file names by pattern."""
        found = self.bodies.get(operation, {})
        return {key: {"$ref": schema_uri(names[file], schema)} for key, (file, schema) in found.items()}


_TEXT = {"type": "string", "minLength": 1}
_TOKEN_FORM = {
    "type": "object",
    "required": ["grant_type", "client_id", "client_secret", "refresh_token"],
    "properties": {
        "grant_type": {"const": "refresh_token"},
        "client_id": _TEXT,
        "client_secret": _TEXT,
        "refresh_token": _TEXT,
    },
}
_TOKEN = {
    "openapi": "3.1.0",
    "paths": {
        "/oauth/v2/token": {
            "post": {
                "requestBody": {"required": True, "content": {"application/json": {"schema": _TOKEN_FORM}}},
                "responses": {"200": {"content": {"application/json": {"schema": {}}}}},
            }
        }
    },
}
"""Refresh Access Token page: a form post to the accounts server, which no OpenAPI document describes."""

_UPGRADE = {
    "openapi": "3.1.0",
    "paths": {
        "/v1/convai/conversation": {
            "get": {
                "parameters": [
                    {"name": "agent_id", "in": "query", "required": True, "schema": _TEXT},
                    {"name": "conversation_signature", "in": "query", "schema": _TEXT},
                    {"name": "conversation_id", "in": "query", "schema": _TEXT},
                    {"name": "source", "in": "query", "schema": _TEXT},
                    {"name": "version", "in": "query", "schema": _TEXT},
                    {"name": "environment", "in": "query", "schema": _TEXT},
                ],
                "responses": {},
            }
        }
    },
}
"""The request that opens a conversation's websocket: AsyncAPI describes its messages only."""

_MEDIA = {
    "asyncapi": "2.6.0",
    "channels": {
        "media": {
            "subscribe": {
                "message": {
                    "payload": {
                        "type": "object",
                        "required": ["action"],
                        "properties": {"action": {"const": "clear"}},
                    }
                }
            },
            "publish": {
                "message": {
                    "oneOf": [
                        {
                            "payload": {
                                "type": "object",
                                "required": ["event", "content-type"],
                                "properties": {
                                    "event": {"const": "websocket:connected"},
                                    "content-type": {"pattern": "^audio/l16;rate=(8|16|24|32)000$"},
                                },
                                "additionalProperties": {"type": "string"},
                            }
                        },
                        {
                            "payload": {
                                "type": "object",
                                "required": ["event", "digit", "duration"],
                                "properties": {
                                    "event": {"const": "websocket:dtmf"},
                                    "digit": {"pattern": "^[0-9*#A-D]$"},
                                    "duration": {"type": "integer"},
                                },
                            }
                        },
                    ]
                }
            },
        }
    },
    "components": {"schemas": {}},
}
"""Texts on the media socket, as public bridges send and receive them: the vendor describes none."""

_NOTE_FIELDS = Erratum(
    "notes.json",
    "Note",
    {"required": ["Parent_Id", "Note_Content"]},
    "one schema serves requests and answers and calls every field of an answer mandatory; "
    "the Create Notes page asks for Parent_Id and Note_Content",
)
_NOTE_PARENT = Erratum(
    "modules.json",
    "Minified_Module",
    {"required": [], "anyOf": [{"required": ["api_name"]}, {"required": ["id"]}]},
    "it calls both api_name and id of a note's module mandatory; the Create Notes page asks for either",
)
_COUNTS = Erratum(
    "openapi*.json",
    "GetConversationResponseModel",
    {"properties": {"agent_message_count": {"type": "integer"}, "user_message_count": {"type": "integer"}}},
    "the vendor's Python library of a later date has two more fields",
)

_AGENTS = "openapi*.json"
_PATCHED = {
    "platform_settings": (_AGENTS, "AgentPlatformSettingsRequestModel"),
    "conversation_config": (_AGENTS, "ConversationalConfigAPIModel-Input"),
}

VENDORS: Mapping[str, Vendor] = {
    "infobip": Vendor(
        ("infobip-calls-subset.openapi*.json", "infobip-subscriptions-api-openapi*.json"),
        Socket("media", sent="subscribe", received="publish", tags=("event", "action")),
        by_hand={"media": _MEDIA},
        webhooks=("infobip-calls-subset.openapi*.json", "Event"),
    ),
    "elevenlabs": Vendor(
        (_AGENTS, "agent.asyncapi*.yaml"),
        Socket("agent.asyncapi*.yaml", sent="subscribe", received="publish"),
        by_hand={"upgrade": _UPGRADE},
        bodies={"PATCH /v1/convai/agents/{agent_id}": _PATCHED},
        errata=(_COUNTS,),
    ),
    "zoho": Vendor(("*.json",), by_hand={"token": _TOKEN}, errata=(_NOTE_FIELDS, _NOTE_PARENT)),
}
