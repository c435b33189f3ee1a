"""A webhook as it arrived, for an integration to verify and to understand."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """One HTTP request from a vendor. `headers` has lower-case names; `path` is what follows /webhooks/<name>/."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
