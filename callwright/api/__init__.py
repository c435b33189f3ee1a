"""REST, webhooks, the live feed and the probes: the part that knows HTTP, and knows no vendor."""

from callwright.api.application import build_api
from callwright.api.services import Services

__all__ = ["Services", "build_api"]
