"""Published request limits of the vendor's operations, each a sliding window."""

import math
import time
from collections import deque
from collections.abc import Callable

PUBLISHED = {
    "create-call": (6, 1.0),
    "create-dialog": (20, 1.0),
    "create-configuration": (100, 60.0),
    "download-recording": (100, 60.0),
    "other": (100, 1.0),
}
"""Operation -> how many requests in how many seconds (x-throttling-info of the OpenAPI)."""


class RateLimits:
    """Counts requests; `limits` may be changed at any time, an operation that it lacks is free."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.limits: dict[str, tuple[int, float]] = dict(PUBLISHED)
        self._monotonic = monotonic
        self._taken: dict[str, deque[float]] = {}

    def take(self, operation: str) -> int | None:
        """Count one request; None when it may pass, else the whole seconds of Retry-After."""
        if operation not in self.limits:
            return None
        count, window_s = self.limits[operation]
        taken = self._taken.setdefault(operation, deque())
        now = self._monotonic()
        while taken and taken[0] <= now - window_s:
            taken.popleft()
        if len(taken) >= count:
            return max(1, math.ceil(taken[0] + window_s - now))
        taken.append(now)
        return None
