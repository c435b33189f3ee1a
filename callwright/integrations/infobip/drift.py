"""How something at Infobip differs from what we want, in words that name both values and tell no secret. Pure."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

_LONGEST = 120
_SECRET_PARTS = frozenset({"headers", "credentials"})


def differences(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """One line for each field whose value differs; fields that we do not set are left out.

    Lists are compared without order. Of a media address (`url`) the last part is a secret.
    """
    return [line for key, value in wanted.items() for line in _lines(key, found.get(key), value)]


def another_secret(place: str) -> str:
    """The line for a secret that is not the one in our settings."""
    return f"{place} is not the one in our settings"


def not_wanted(place: str) -> str:
    """The line for something that is there and should not be."""
    return f"{place} is set at Infobip and should not be"


def _lines(place: str, found: Any, wanted: Any) -> Iterator[str]:
    if same(found, wanted):
        return
    if place in _SECRET_PARTS:
        yield another_secret(place)
    elif isinstance(wanted, dict) and isinstance(found, dict):
        for key, value in wanted.items():
            yield from _lines(f"{place}.{key}", found.get(key), value)
    elif _plain(wanted) and _plain(found):
        yield from _members(place, found, wanted)
    else:
        yield f"{place} is {_shown(place, found)} at Infobip, and should be {_shown(place, wanted)}"


def _members(place: str, found: list[str], wanted: list[str]) -> Iterator[str]:
    lacking = [item for item in wanted if item not in found]
    more = [item for item in found if item not in wanted]
    if lacking:
        yield f"{place} lacks {', '.join(lacking)}"
    if more:
        yield f"{place} has {', '.join(more)} in addition"
    if not lacking and not more:
        yield f"{place} names something twice"


def same(found: Any, wanted: Any) -> bool:
    """Whether what is found is as we want it, where we want anything."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(same(found.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list):
        if not isinstance(found, list) or len(found) != len(wanted):
            return False
        return all(any(same(item, value) for item in found) for value in wanted)
    return bool(found == wanted)


def _plain(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _shown(place: str, value: Any) -> str:
    if value is None:
        return "not set"
    if place == "url" and isinstance(value, str):
        value = f"{value.rpartition('/')[0]}/***"
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
