"""Zoho CRM, API version 8: records to call, and where the outcomes go."""

from callwright.integrations.zoho.settings import ZohoSettings
from callwright.registry import IntegrationSpec, Role

SPEC = IntegrationSpec(
    name="zoho",
    title="Zoho CRM",
    settings=ZohoSettings,
    roles={Role.CRM: "callwright.integrations.zoho.crm:ZohoCrm"},
    simulator="callwright.integrations.zoho.simulator:ZohoSimulator",
    docs_url="https://www.zoho.com/crm/developer/docs/api/v8/",
    notes=(
        "Needs a self client with an offline grant; README.md shows how to make one.",
        "Calls are asked for by a workflow rule or button that posts to /hooks/crm/zoho.",
    ),
)
