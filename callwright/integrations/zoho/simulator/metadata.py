"""How the metadata API shows fields, modules and the organisation: every member of the vendor's own sample answers."""

from typing import Any

from callwright.integrations.zoho.simulator.modules import Field, Module

_PROFILE_ID = "5725767000000026011"
_LAYOUT_ID = "5725767000000091055"
_UI_TYPES = {
    "bigint": 207,
    "boolean": 301,
    "currency": 36,
    "datetime": 200,
    "double": 38,
    "email": 25,
    "formula": 116,
    "integer": 32,
    "lookup": 8,
    "multiselectpicklist": 100,
    "ownerlookup": 8,
    "phone": 33,
    "picklist": 2,
    "textarea": 3,
    "website": 21,
}
_TEXT_UI_TYPE = 1
_NOTHING: dict[str, Any] = {
    "associated_module": None,
    "association_details": None,
    "colour_code_enabled_by_system": False,
    "created_source": "default",
    "created_time": None,
    "crypt": None,
    "customizable_properties": None,
    "display_field": False,
    "display_type": -1,
    "enable_colour_code": False,
    "external": None,
    "filterable": True,
    "global_picklist": None,
    "hipaa_compliance": None,
    "hipaa_compliance_enabled": False,
    "history_tracking": None,
    "modified_time": None,
    "pick_list_values_sorted_lexically": False,
    "searchable": True,
    "separator": False,
    "sortable": True,
    "tooltip": None,
    "type": "used",
    "virtual_field": False,
    "visible": True,
    "webhook": True,
}
"""What no field of this organisation has anything special about."""


def field_entry(field: Field) -> dict[str, Any]:
    """The entry of GET /settings/fields."""
    writable = field.access == "rw"
    label = field.name.replace("_", " ")
    parser = {"fields_update_supported": writable, "record_operations_supported": writable}
    entry = {
        **_NOTHING,
        "api_name": field.name,
        "field_label": label,
        "display_label": label,
        "id": field.id,
        "data_type": field.type,
        "json_type": field.json_type,
        "ui_type": _UI_TYPES.get(field.type, _TEXT_UI_TYPE),
        "length": field.length,
        "decimal_place": field.decimals,
        "read_only": field.access == "r",
        "field_read_only": field.access == "r",
        "system_mandatory": field.mandatory,
        "custom_field": field.custom,
        "businesscard_supported": writable,
        "mass_update": writable,
        "email_parser": parser,
        "unique": {"case_sensitive": False} if field.unique else {},
        "operation_type": {
            "web_update": writable,
            "api_create": field.access in {"rw", "c"},
            "web_create": writable,
            "api_update": writable,
        },
        "view_type": {"view": True, "edit": writable, "quick_create": field.mandatory, "create": writable},
        "profiles": [{"permission_type": "read_write", "name": "Administrator", "id": _PROFILE_ID}],
        "layout_associations": [{"api_name": "Standard__s", "name": "Standard", "id": _LAYOUT_ID}],
        "convert_mapping": {"Contacts": None, "Deals": None, "Accounts": None},
        "pick_list_values": [_option(field, number, text) for number, text in enumerate(field.options, 1)],
    }
    return {**entry, **_by_type(field)}


def module_entry(module: Module) -> dict[str, Any]:
    """The entry of GET /settings/modules."""
    return {
        "access_type": "org_based",
        "actual_plural_label": module.name,
        "actual_singular_label": module.singular,
        "api_name": module.name,
        "api_supported": True,
        "arguments": [],
        "business_card_field_limit": 5,
        "convertable": module.name == "Leads",
        "creatable": True,
        "deletable": True,
        "description": None,
        "editable": True,
        "feeds_required": False,
        "generated_type": "default",
        "has_more_profiles": False,
        "id": module.id,
        "modified_by": None,
        "modified_time": None,
        "module_name": module.name,
        "parent_module": {},
        "plural_label": module.name,
        "presence_sub_menu": True,
        "private_profile": None,
        "profile_count": 1,
        "profiles": [{"name": "Administrator", "id": _PROFILE_ID}],
        "quick_create": True,
        "recycle_bin_on_delete": True,
        "show_as_tab": True,
        "singular_label": module.singular,
        "status": "visible",
        "sub_menu_available": True,
        "viewable": True,
        "visibility": 1,
        "web_link": None,
    }


def organisation_entry() -> dict[str, Any]:
    """The entry of GET /org."""
    texts = (
        "alias", "city", "description", "domain_name", "fax", "mobile", "phone", "photo_id", "state", "street",
        "zia_portal_id", "zip",
    )  # fmt: skip
    return {
        **dict.fromkeys(texts, ""),
        "call_icon": "telephone",
        "checkin_preferences": {"restricted_event_types": "all"},
        "company_name": "Simulated Organisation",
        "country": "United Kingdom",
        "country_code": "GB",
        "currency": "British Pound - GBP",
        "currency_locale": "en_GB",
        "currency_symbol": "£",
        "deletable_org_account": True,
        "ezgid": "simulated-ezgid",
        "gapps_enabled": False,
        "hierarchy_preferences": {"type": "Role_Hierarchy", "strictly_reporting": False},
        "hipaa_compliance_enabled": False,
        "id": "5725767000000000001",
        "iso_code": "GBP",
        "license_details": {
            "paid": True,
            "paid_expiry": "2030-01-01T00:00:00+00:00",
            "paid_type": "enterprise",
            "trial_action": "none",
            "trial_expiry": "2020-01-01T00:00:00+00:00",
            "trial_type": "none",
            "users_license_purchased": 5,
        },
        "lite_users_enabled": False,
        "max_per_page": 200,
        "mc_status": False,
        "oauth_presence": True,
        "primary_email": "owner@example.com",
        "primary_zuid": "700000001",
        "privacy_settings": False,
        "time_zone": "Europe/London",
        "translation_enabled": False,
        "zgid": "700000000",
        "zia_zgid": 700000000,
    }


def _by_type(field: Field) -> dict[str, Any]:
    """Members that hold something for one type of field, and {} for all others."""
    members: dict[str, Any] = {
        "auto_number": {},
        "currency": {},
        "formula": {},
        "lookup": {},
        "multi_module_lookup": {},
        "multiselectlookup": {},
        "rollup_summary": {},
    }
    if field.type == "currency":
        members["currency"] = {"rounding_option": "normal", "precision": field.decimals or 2}
    elif field.type == "formula":
        members["formula"] = {"return_type": "double", "expression": "1"}
    elif field.type == "textarea":
        members["textarea"] = {"type": "small"}
    elif field.module is not None:
        members["lookup"] = {
            "display_label": field.name,
            "api_name": None,
            "module": {"api_name": field.module, "id": field.id},
            "id": field.id,
            "query_details": {},
            "revalidate_filter_during_edit": False,
            "show_fields": [],
        }
    return members


def _option(field: Field, number: int, text: str) -> dict[str, Any]:
    return {
        "display_value": text,
        "actual_value": text,
        "reference_value": text,
        "sequence_number": number,
        "colour_code": None,
        "id": f"{field.id}{number:03d}",
        "type": "used",
    }
