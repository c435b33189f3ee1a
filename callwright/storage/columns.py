"""Column types that behave alike on SQLite and PostgreSQL."""

import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, Text
from sqlalchemy.types import TypeDecorator

Identity = BigInteger().with_variant(Integer(), "sqlite")
"""A growing 64-bit key; SQLite lets only a column declared INTEGER number itself."""

_NOT_STORABLE = "\ufffd"


class Moment(TypeDecorator[datetime]):
    """A moment with microseconds: aware in, aware UTC out. Raises ValueError for a naive datetime."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn an aware datetime into UTC, without its zone where the database cannot keep one."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Read the moment back as aware UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class SafeText(TypeDecorator[str]):
    """Text from outside: NUL and lone surrogates, which PostgreSQL refuses, become U+FFFD."""

    impl = Text()
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Replace what cannot be stored."""
        return value if value is None else storable(value)


def storable(text: str) -> str:
    """The text with NUL and lone surrogates replaced by U+FFFD."""
    if "\0" in text:
        text = text.replace("\0", _NOT_STORABLE)
    if text.isascii():
        return text
    return "".join(_NOT_STORABLE if "\ud800" <= char <= "\udfff" else char for char in text)


def to_json(value: Any) -> str:
    """Write JSON as ASCII, so that any text survives; raises ValueError for NaN and TypeError for objects."""
    return json.dumps(value, allow_nan=False, separators=(",", ":"))
