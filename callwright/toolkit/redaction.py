"""Keeps secrets out of logs, errors and stored bodies."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

_HIDDEN = "***"
_KEYED = re.compile(
    r"""(?ix)
    (["']?\b(?:api[_-]?key|apikey|xi-api-key|authorization|access_token|refresh_token|client_secret|password|secret
        |\w*token|signed_url|conversation_signature|credentials|webhook_secret)\b["']?\s*[:=]\s*)
    ("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|(?:[A-Za-z-]+\s)?[^\s,;&}"']+)
    """
)
_SECRET_NAME = re.compile(
    r"(?i)(?:^|[_-])(?:api[_-]?key|apikey|authorization|token|client_secret|password|secret|signed_url|credentials)$"
)
_ROW = re.compile(
    r"""(?sx)
    \b(DETAIL:|CONTEXT:)[ ].*?(?=\n\[SQL|\n[A-Z]+:[ ]|\n\n|\Z)
    |\b(parameters:|input_value=).*?(?=\]?(?:\n|\Z)|,[ ]input_type=)
    """
)
_NUMBER = re.compile(r"(\+|%2[Bb])[1-9]\d{6,14}\b")
_SHORTEST_SECRET = 6
BODY_LIMIT = 2000


class Redactor:
    """Replaces known secret values, and what follows a secret-looking key, by ***."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = sorted(
            {secret for secret in secrets if len(secret) >= _SHORTEST_SECRET}, key=len, reverse=True
        )
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def __call__(self, text: str) -> str:
        """The text without secrets."""
        if self._known is not None:
            text = self._known.sub(_HIDDEN, text)
        return _KEYED.sub(lambda match: match.group(1) + _HIDDEN, text)

    def data(self, value: Any) -> Any:
        """JSON-friendly data without secrets: in its texts, and under names that promise one."""
        if value is None or isinstance(value, (bool, int, float)):
            return value
        if isinstance(value, str):
            return self(value)
        if isinstance(value, Mapping):
            return {
                str(name): _HIDDEN if item and _SECRET_NAME.search(str(name)) else self.data(item)
                for name, item in value.items()
            }
        if isinstance(value, (list, tuple, set, frozenset)):
            return [self.data(item) for item in value]
        return self(str(value))

    def body(self, text: str) -> str:
        """A vendor's body without secrets, cut to 2,000 characters."""
        return self(text[: BODY_LIMIT * 2])[:BODY_LIMIT]


def impersonal(text: str) -> str:
    """A text without the values of rows and parameters that errors repeat, and without phone numbers.

    PostgreSQL repeats a row's values behind DETAIL and CONTEXT, SQLAlchemy behind `parameters`, pydantic behind
    `input_value`.
    """
    return _NUMBER.sub(rf"\1{_HIDDEN}", _ROW.sub(lambda found: f"{found[1] or found[2]}{_HIDDEN}", text))
