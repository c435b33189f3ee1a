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
_ABSENT = frozenset(
    {
        "_update_existing_records", "additional_column", "allowed_modules", "autonumber", "available_in_user_layout",
        "blueprint_supported", "category", "column_name", "common.picklist", "file_upolad_optionlist",
        "multiuserlookup", "number_separator", "quick_sequence_number", "refer_from_field", "sharing_properties",
        "show_type", "static_field", "sub_module", "subform", "textarea",
    }
)  # fmt: skip
_NULLABLE = (
    "associated_module", "association_details", "crypt", "customizable_properties", "external", "hipaa_compliance",
    "history_tracking", "tooltip",
)  # fmt: skip
_FIELDS = Erratum(
    "fields.json",
    "fields",
    {"properties": {"global_picklist": {}}},
    "it calls 20 members mandatory that the vendor's own sample answer lacks, 8 never null that are null there, and "
    "lacks one that is there",
    absent=_ABSENT,
    nullable=_NULLABLE,
)
_MODULE_ABSENT = frozenset(
    {
        "$field_states", "$on_demand_properties", "$properties", "activity_badge", "business_card_fields",
        "chart_view", "chart_view_supported", "common.search_supported", "custom_view",
        "default_mapping_fields", "display_field", "emailTemplate_support", "email_parser_supported", "fields",
        "filter_status", "filter_supported", "inventory_template_supported", "isBlueprintSupported",
        "kanban_view", "kanban_view_supported", "layout_associations", "layouts", "lookup_field_properties",
        "per_page", "related_list_properties", "related_lists", "scoring_supported", "search_layout_fields",
        "track_current_data", "triggers_supported", "visible", "webform_supported", "zia_view",
    }
)  # fmt: skip
_MODULES = Erratum(
    "modules.json",
    "modules",
    {
        "properties": {
            "access_type": {},
            "actual_plural_label": {},
            "actual_singular_label": {},
            "private_profile": {},
        }
    },
    "it calls 33 members mandatory that the vendor's own sample answer lacks, and lacks 4 that are there",
    absent=_MODULE_ABSENT,
    nullable=("modified_by",),
)
_PAGES = Erratum(
    "record.json",
    "Info",
    {},
    "it says that page tokens are never null; on the only page they are",
    nullable=("next_page_token", "previous_page_token", "page_token_expiry"),
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
    "zoho": Vendor(
        ("*.json",), by_hand={"token": _TOKEN}, errata=(_NOTE_FIELDS, _NOTE_PARENT, _FIELDS, _MODULES, _PAGES)
    ),
}
