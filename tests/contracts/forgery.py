"""Webhooks as somebody sends them who does not know the secret."""

from collections.abc import Callable
from dataclasses import replace

from callwright.ports.webhook import WebhookRequest

Forge = Callable[[WebhookRequest], WebhookRequest]

_ABOUT_THE_BODY = frozenset(
    {"content-type", "content-length", "accept-encoding", "host", "accept", "connection"}
)


def without_proof(request: WebhookRequest) -> WebhookRequest:
    """Neither headers nor query, in one of which every vendor's proof is."""
    kept = {name: value for name, value in request.headers.items() if name in _ABOUT_THE_BODY}
    return replace(request, headers=kept, query={})


def with_wrong_proof(request: WebhookRequest) -> WebhookRequest:
    """Every header and parameter has another value of the same shape."""
    headers = {
        name: value if name in _ABOUT_THE_BODY else _turned(value) for name, value in request.headers.items()
    }
    return replace(
        request, headers=headers, query={name: _turned(value) for name, value in request.query.items()}
    )


def with_strange_proof(request: WebhookRequest) -> WebhookRequest:
    """Every header and parameter holds what no vendor sends."""
    headers = {
        name: value if name in _ABOUT_THE_BODY else "\u00e4\x00=,;:\u20ac"
        for name, value in request.headers.items()
    }
    return replace(request, headers=headers, query=dict.fromkeys(request.query, "\u00e4\x00"))


ALL: tuple[Forge, ...] = (without_proof, with_wrong_proof, with_strange_proof)
NAMES = [forge.__name__ for forge in ALL]


def _turned(value: str) -> str:
    """The value with its letters and digits turned by one, so that it stays well formed."""
    return "".join(_next(letter) for letter in value)


def _next(letter: str) -> str:
    for alphabet in ("0123456789", "abcdef", "ghijklmnopqrstuvwxyz", "ABCDEF", "GHIJKLMNOPQRSTUVWXYZ"):
        if letter in alphabet:
            return alphabet[(alphabet.index(letter) + 1) % len(alphabet)]
    return letter
