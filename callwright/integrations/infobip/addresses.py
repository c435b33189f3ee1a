"""Which hosts may get our API key, and how the wire writes phone numbers and times."""

import ipaddress
from datetime import UTC, datetime
from urllib.parse import SplitResult, urlsplit

_VENDOR_DOMAIN = ".infobip.com"


def base_url_problem(url: str) -> str | None:
    """What is wrong with a base address: it is https without a path, or plain http on this machine."""
    parts = _split(url)
    if parts is None or parts.scheme not in {"http", "https"}:
        return "write it like https://xxxxx.api.infobip.com"
    if parts.path.strip("/") or parts.query or parts.fragment or parts.username is not None:
        return "write only scheme and host, like https://xxxxx.api.infobip.com"
    if parts.scheme == "http" and not _is_loopback(parts.hostname or ""):
        return "the API key would travel unencrypted: use https (plain http only for 127.0.0.1)"
    return None


def follow_up_base(told: object, base_url: str) -> str | None:
    """The address for actions on a call that an event told (`properties.apiBaseUrl`), if it may get our key.

    That is the configured address itself, or https to a host of Infobip's domain; anything else is None.
    """
    parts = _split(told) if isinstance(told, str) else None
    own = _split(base_url)
    if parts is None or own is None or parts.username is not None or parts.query or parts.fragment:
        return None
    if parts.path.strip("/"):
        return None
    if (parts.scheme, parts.hostname, parts.port) == (own.scheme, own.hostname, own.port):
        return base_url
    host = parts.hostname or ""
    trusted = parts.scheme == "https" and parts.port in {None, 443} and host.endswith(_VENDOR_DOMAIN)
    return f"https://{host}" if trusted else None


def vendor_number(e164: str) -> str:
    """A number as Infobip's examples write it: E.164 without the plus sign."""
    return e164.removeprefix("+")


def our_number(number: object) -> str:
    """A number of theirs as E.164 with the plus sign; empty when it is none."""
    digits = number.removeprefix("+") if isinstance(number, str) else ""
    return f"+{digits}" if digits.isascii() and digits.isdigit() else ""


def vendor_time(moment: datetime) -> str:
    """A time as their filters want it: 2026-01-15T11:59:30.000+0000."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}+0000"


def our_time(text: object) -> datetime | None:
    """A time of theirs as aware UTC; None when it is absent or nonsense."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  (reading the port is what validates it)
    except ValueError:
        return None
    return parts if parts.hostname else None


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
