"""Reports, after the house rules, how near the code is to their limits."""

import pytest

from tests.house.source import REPOSITORY
from tests.house.test_sizes import report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how long the functions are, if the rules were looked at."""
    passed = terminalreporter.stats.get("passed", [])
    if any("tests/house/test_sizes.py" in item.nodeid for item in passed):
        terminalreporter.write_line(f"house: {report(REPOSITORY)}")
