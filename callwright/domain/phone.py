"""Phone numbers: E.164 and the time zones they may belong to."""

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import phonenumbers
from phonenumbers import timezone

from callwright.domain.errors import InvalidInput, Problem


def to_e164(raw: str, region: str | None = None) -> str:
    """Turn what a person or CRM wrote into E.164 (`+` and 7 to 15 digits).

    `region` is the ISO country for numbers without a country code. Raises InvalidInput with what to do.
    """
    text = raw.strip().lstrip("'").strip()
    if text.startswith("00"):
        text = "+" + text[2:]
    remedy = "Write it with + and the country code, for example +447700900123."
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException as error:
        if error.error_type != phonenumbers.NumberParseException.INVALID_COUNTRY_CODE:
            what = f"{raw!r} is not a phone number."
        elif text.startswith("+"):
            what = f"{raw!r} begins with a country code that does not exist."
        else:
            what, remedy = f"{raw!r} has no country code.", f"{remedy[:-1]}, or set DEFAULT_REGION."
        raise InvalidInput(Problem("phone", what, remedy)) from error
    if number.extension:
        raise InvalidInput(Problem("phone", f"{raw!r} has an extension.", "Give the direct number."))
    if phonenumbers.is_possible_number_with_reason(number) != phonenumbers.ValidationResult.IS_POSSIBLE:
        raise InvalidInput(Problem("phone", f"{raw!r} has too few or too many digits.", "Check the number."))
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def is_region(code: str) -> bool:
    """Whether numbers without a country code can be read as those of this ISO country (GB)."""
    return code in phonenumbers.SUPPORTED_REGIONS


def time_zones(e164: str) -> tuple[ZoneInfo, ...]:
    """Every time zone that the number may belong to; empty when none is known."""
    zones = []
    for name in timezone.time_zones_for_number(phonenumbers.parse(e164)):
        try:
            zones.append(ZoneInfo(name))
        except (ZoneInfoNotFoundError, ValueError):
            continue
    return tuple(zones)
