"""Listens to everything that is logged and said, and knows what must not be in it."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog

_SHORTEST = 8


class Leaks:
    """Everything said during a test."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def containing(self, secrets: set[str]) -> list[str]:
        """What was said that holds a secret, with the secret blotted out."""
        found = []
        for text in self.said:
            for secret in secrets:
                if len(secret) >= _SHORTEST and secret in text:
                    found.append(text.replace(secret, "<SECRET>")[:400])
                    break
        return found

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take down every line that our code logs and every warning of a library, before anything is redacted."""
        before = structlog.get_config()
        handler = _Notebook(self.said)
        root, ours = logging.getLogger(), logging.getLogger("callwright")
        level = ours.level
        root.addHandler(handler)
        ours.setLevel(logging.DEBUG)
        structlog.configure(
            processors=[structlog.contextvars.merge_contextvars, self._take],
            wrapper_class=structlog.make_filtering_bound_logger(0),
            cache_logger_on_first_use=False,
        )
        try:
            yield
        finally:
            structlog.configure(**before)
            root.removeHandler(handler)
            ours.setLevel(level)

    def _take(self, _logger: Any, _method: str, event: Any) -> Any:
        self.said.append(repr(dict(event)))
        raise structlog.DropEvent


class _Notebook(logging.Handler):
    def __init__(self, said: list[str]) -> None:
        super().__init__(logging.DEBUG)
        self._said = said

    def emit(self, record: logging.LogRecord) -> None:
        self._said.append(f"{record.name}: {record.getMessage()}")
