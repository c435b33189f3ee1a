"""What is configured and what it can do; never a secret."""

import pytest

from callwright.config import secret_values
from callwright.registry import integrations
from tests.api.site import Site

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_every_installed_integration_is_listed(site: Site) -> None:
    listed = (await site.expect(200, "GET", "/api/v1/integrations"))["items"]
    assert [item["name"] for item in listed] == sorted(integrations())
    for item in listed:
        spec = integrations()[item["name"]]
        assert item["configured"] is (item["name"] in site.stage.app.configuration.integrations)
        assert set(item["roles"]) == set(spec.roles)
        assert (item["carrier"] is not None) is (spec.carrier is not None)
        assert [setting["name"] for setting in item["settings"]] == spec.environment_names()


async def test_it_tells_which_settings_are_set(site: Site) -> None:
    listed = (await site.expect(200, "GET", "/api/v1/integrations"))["items"]
    zoho = next(item for item in listed if item["name"] == "zoho")
    is_set = {setting["name"]: setting["is_set"] for setting in zoho["settings"]}
    assert is_set["ZOHO_CLIENT_SECRET"] is True
    assert is_set["ZOHO_MAX_CONCURRENT"] is False


async def test_no_secret_is_in_any_answer_that_can_be_read(site: Site) -> None:
    secrets = secret_values(site.stage.app.configuration)
    assert len(secrets) >= 4
    paths = [path for path, known in site.document["paths"].items() if "get" in known and "{" not in path]
    headers = {"authorization": f"Bearer {await site.key()}"}
    for path in (*paths, "/openapi.json", "/docs"):
        if path != "/api/v1/events":
            response = await site.http.get(path, headers=headers)
            assert not [secret for secret in secrets if secret in response.text], path
