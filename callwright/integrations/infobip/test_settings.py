"""Settings are refused with what to do, and our key goes to nobody else."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import ValidationError

from callwright.integrations.infobip import SPEC
from callwright.integrations.infobip.addresses import (
    follow_up_base,
    our_number,
    our_time,
    vendor_number,
    vendor_time,
)
from callwright.integrations.infobip.settings import InfobipSettings

GOOD = {
    "INFOBIP_API_KEY": "key-0123456789",
    "INFOBIP_BASE_URL": "https://xyz12.api.infobip.com/",
    "INFOBIP_CALLER_IDS": "+447700900001, +447700900002",
    "INFOBIP_WEBHOOK_PASSWORD": "password-0123456789",
}


def test_good_settings_have_defaults() -> None:
    settings = InfobipSettings.model_validate(GOOD)
    assert settings.base_url == "https://xyz12.api.infobip.com"
    assert settings.caller_ids == ("+447700900001", "+447700900002")
    assert (settings.calls_configuration_id, settings.sample_rate) == ("callwright", 16000)
    assert settings.dials_per_second == 6


@pytest.mark.parametrize(
    "name,value",
    [
        ("INFOBIP_API_KEY", ""),
        ("INFOBIP_BASE_URL", "xyz12.api.infobip.com"),
        ("INFOBIP_BASE_URL", "http://xyz12.api.infobip.com"),
        ("INFOBIP_BASE_URL", "http://10.0.0.1:8080"),
        ("INFOBIP_BASE_URL", "https://user:secret@xyz12.api.infobip.com"),
        ("INFOBIP_BASE_URL", "https://xyz12.api.infobip.com/calls"),
        ("INFOBIP_BASE_URL", "https://xyz12.api.infobip.com:port"),
        ("INFOBIP_CALLER_IDS", ""),
        ("INFOBIP_CALLER_IDS", "447700900001"),
        ("INFOBIP_CALLER_IDS", "+447700900001,support"),
        ("INFOBIP_CALLS_CONFIGURATION_ID", "has space"),
        ("INFOBIP_SAMPLE_RATE", "44100"),
        ("INFOBIP_WEBHOOK_AUTH", "none"),
        ("INFOBIP_WEBHOOK_AUTH", "hmac"),
        ("INFOBIP_WEBHOOK_AUTH", "header"),
        ("INFOBIP_WEBHOOK_PASSWORD", ""),
        ("INFOBIP_WEBHOOK_HMAC_ALGORITHM", "SHA256"),
        ("INFOBIP_DIALS_PER_SECOND", "0"),
        ("INFOBIP_MESSAGE_DETECTION_S", "2"),
    ],
)
def test_bad_settings_are_refused(name: str, value: str) -> None:
    with pytest.raises(ValidationError):
        InfobipSettings.model_validate({**GOOD, name: value})


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080", "http://localhost:1", "http://[::1]:80", "https://api.infobip.com"]
)
def test_plain_http_is_for_this_machine_only(url: str) -> None:
    assert InfobipSettings.model_validate({**GOOD, "INFOBIP_BASE_URL": url}).base_url == url


def test_rates_arrive_as_text() -> None:
    for rate in ("8000", "16000", "24000"):
        settings = InfobipSettings.model_validate({**GOOD, "INFOBIP_SAMPLE_RATE": rate})
        assert str(settings.sample_rate) == rate


def test_secrets_are_not_shown() -> None:
    settings = InfobipSettings.model_validate(GOOD)
    assert "0123456789" not in repr(settings)
    assert settings.secret_values() == ("key-0123456789", "password-0123456789")


def test_every_setting_is_named_and_described() -> None:
    fields = InfobipSettings.model_fields.values()
    assert all(str(field.validation_alias).startswith("INFOBIP_") for field in fields)
    assert all(field.description for field in fields)
    assert len(set(SPEC.environment_names())) == len(fields)


@pytest.mark.parametrize(
    "told,trusted",
    [
        ("https://xyz12.api.infobip.com", "https://xyz12.api.infobip.com"),
        ("https://api-eu2.infobip.com", "https://api-eu2.infobip.com"),
        ("https://api-eu2.infobip.com:443/", "https://api-eu2.infobip.com"),
        ("https://API-EU2.INFOBIP.COM", "https://api-eu2.infobip.com"),
        ("http://api-eu2.infobip.com", None),
        ("https://api-eu2.infobip.com:8443", None),
        ("https://infobip.com.example.org", None),
        ("https://notinfobip.com", None),
        ("https://infobip.com", None),
        ("https://api.infobip.com@example.org", None),
        ("https://example.org#.infobip.com", None),
        ("https://example.org/.infobip.com", None),
        ("https://example.org?x=.infobip.com", None),
        ("http://127.0.0.1:8080", None),
        ("http://169.254.169.254", None),
        ("https://[::1", None),
        ("", None),
        (None, None),
        (7, None),
    ],
)
def test_follow_ups_go_to_infobip_only(told: object, trusted: str | None) -> None:
    assert follow_up_base(told, "https://xyz12.api.infobip.com") == trusted


def test_the_configured_address_is_trusted_as_it_is() -> None:
    own = "http://127.0.0.1:8080"
    assert follow_up_base("http://127.0.0.1:8080", own) == own
    assert follow_up_base("http://127.0.0.1:8081", own) is None


def test_numbers_and_times() -> None:
    assert vendor_number("+447700900001") == "447700900001"
    assert [our_number(value) for value in ("447700900001", "+1202", "anonymous", None, "٤٤")] == [
        "+447700900001",
        "+1202",
        "",
        "",
        "",
    ]
    moment = datetime(2026, 1, 15, 13, 59, 30, 7999, tzinfo=timezone(timedelta(hours=2)))
    assert vendor_time(moment) == "2026-01-15T11:59:30.007+0000"
    assert our_time("2026-01-15T11:59:30.007+0000") == datetime(2026, 1, 15, 11, 59, 30, 7000, tzinfo=UTC)
    assert our_time("2026-01-15T11:59:30") == datetime(2026, 1, 15, 11, 59, 30, tzinfo=UTC)
    assert [our_time(value) for value in ("yesterday", None, 5)] == [None, None, None]
