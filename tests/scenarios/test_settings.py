"""Settings that would be dangerous are refused before anything is dialled."""

from pathlib import Path

import pytest

from callwright.app import Callwright
from callwright.config import load
from callwright.domain.errors import ConfigurationError


async def test_the_clock_is_not_moved_where_real_calls_could_be_placed(tmp_path: Path) -> None:
    """A simulated clock would open the calling hours: it needs every vendor on loopback."""
    environment = {
        "DATA_DIR": str(tmp_path),
        "SIMULATED_CLOCK_SHIFT_S": "36000",
        "INFOBIP_API_KEY": "key",
        "INFOBIP_BASE_URL": "https://example.api.infobip.com",
        "INFOBIP_CALLER_IDS": "+447700900001",
        "INFOBIP_WEBHOOK_USERNAME": "user",
        "INFOBIP_WEBHOOK_PASSWORD": "password-of-some-length",
    }
    with pytest.raises(ConfigurationError, match="SIMULATED_CLOCK_SHIFT_S"):
        await Callwright.build(load(environment))


def test_every_problem_with_the_settings_is_told_at_once() -> None:
    """Misspelt, missing and wrong ones, each with what to do."""
    with pytest.raises(ConfigurationError) as caught:
        load({"INFOBIP_API_KEI": "x", "INFOBIP_BASE_URL": "https://a.api.infobip.com", "PORT": "99999"})
    told = {problem.where: str(problem) for problem in caught.value.problems}
    assert "Did you mean INFOBIP_API_KEY" in told["INFOBIP_API_KEI"]
    assert {"PORT", "INFOBIP_API_KEY"} <= set(told)
