"""No secret and no token leaves the adapter, whatever Zoho echoes."""

import logging
from typing import Any

import pytest
import structlog

from callwright.domain.errors import VendorError
from callwright.integrations.zoho.conftest import LEAD, Bench
from callwright.simulation.faults import Fault, FaultKind


@pytest.fixture
def logged() -> Any:
    with structlog.testing.capture_logs() as entries:
        yield entries


async def test_errors_and_logs_hold_no_secret(
    bench: Bench, logged: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    crm = bench.crm()
    token = (await crm._client.token()).value
    accounts = bench.simulator.accounts
    secrets = (accounts.client_secret, accounts.refresh_token, bench.simulator.hook_secret, token)
    echo = {"code": "NO_PERMISSION", "message": f"not with {token}", "details": {"echo": " ".join(secrets)}}
    bench.simulator.faults.add(Fault("GET /crm/**", FaultKind.STATUS, status=403, body=echo))
    with pytest.raises(VendorError) as caught:
        await crm.get("Leads", LEAD)
    bench.simulator.faults.add(Fault("PUT /crm/**", FaultKind.STATUS, status=403, body=" ".join(secrets)))
    with pytest.raises(VendorError) as second:
        await crm.update("Leads", LEAD, {"Budget": 5})
    bench.simulator.faults.add(
        Fault("POST /oauth/**", FaultKind.STATUS, status=200, body={"error": accounts.refresh_token})
    )
    bench.clock.forward(4000)
    with pytest.raises(VendorError) as third:
        await crm.get("Leads", LEAD)
    seen = [caplog.text, *map(str, logged)]
    for error in (caught.value, second.value, third.value):
        seen += [str(error), error.message, error.body]
    assert "***" in "".join(seen)
    for secret in secrets:
        assert not any(secret in text for text in seen)


async def test_settings_show_no_secret(bench: Bench) -> None:
    settings = bench.settings()
    shown = repr(settings) + str(settings.model_dump())
    for secret in (settings.client_secret, settings.refresh_token, settings.hook_secret):
        assert secret.get_secret_value() not in shown
