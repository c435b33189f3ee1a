"""What a subscription's answer says about credits (ExtendedSubscriptionResponseModel; credits are `character_*`)."""

from dataclasses import dataclass
from typing import Any, Final

_UNLIMITED: Final = "unlimited"
_GOOD_STATES: Final = frozenset({"", "trialing", "active", "free"})


@dataclass(frozen=True, slots=True)
class Quota:
    """Credits left (None: no limit, or not told), the plan, and its state where that is bad."""

    credits: int | None
    tier: str = ""
    trouble: str = ""


def read_quota(body: dict[str, Any]) -> Quota:
    """Limit, plus what the workspace allows beyond it, less what is used."""
    limit, used, beyond = (
        body.get(name) for name in ("character_limit", "character_count", "max_credit_limit_extension")
    )
    tier, state = str(body.get("tier") or ""), str(body.get("status") or "")
    trouble = "" if state in _GOOD_STATES else state
    if beyond == _UNLIMITED or not isinstance(limit, int) or not isinstance(used, int):
        return Quota(None, tier, trouble)
    return Quota(limit + (beyond if isinstance(beyond, int) else 0) - used, tier, trouble)
