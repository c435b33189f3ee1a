"""What `make new-integration` makes is collected by every suite of its role, and fails there until it is written."""

import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from callwright.registry import Role

REPOSITORY = Path(__file__).resolve().parents[2]
COPIED = (
    "callwright",
    "tools",
    "tests/contracts",
    "tests/__init__.py",
    "docs",
    "conftest.py",
    "pyproject.toml",
)
NAME = "acme"
_RESULT = re.compile(rf"^(\w+) tests/contracts/(\w+)\.py::(\w+)\[{NAME}_(\w+?)[-\]]", re.MULTILINE)
_SOUND_FROM_THE_START = ("test_ports::", "test_carrier_capabilities::test_the_adapter_has_the_capabilities")
"""The scaffold's SPEC and signatures are right; everything else is still to be done."""


Row = tuple[str, str, str, str]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    """Outcome, suite, case and role of every case that a new integration of each role gets, in a copy of this."""
    root = tmp_path_factory.mktemp("repository")
    for name in COPIED:
        source, target = REPOSITORY / name, root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    for role in Role:
        _run(root, "-m", "tools.new_integration", f"{NAME}_{role}", str(role), expect=0)
    told = _run(root, "-m", "pytest", "tests/contracts", "-k", NAME, "-q", "-rA", "--tb=no", expect=1)
    return [(match[1], match[2], match[3], match[4]) for match in _RESULT.finditer(told)]


def _run(root: Path, *arguments: str, expect: int) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env={"PATH": str(Path(sys.executable).parent), "PYTHONPATH": str(root)},
    )
    assert done.returncode == expect, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.parametrize("role", list(Role))
def test_a_new_folder_is_collected(outcomes: list[Row], role: Role) -> None:
    suites = {suite for _, suite, _, owner in outcomes if owner == role}
    prefix = {Role.CARRIER: "test_carrier", Role.VOICE_AGENTS: "test_voice_agents", Role.CRM: "test_crm"}[
        role
    ]
    files = {path.stem for path in Path(__file__).parent.glob(f"{prefix}*.py")}
    assert suites == {*files, "test_fault_families", "test_operations", "test_ports"}


@pytest.mark.parametrize("role", list(Role))
def test_a_new_folder_fails_its_cases(outcomes: list[Row], role: Role) -> None:
    of_role = [row for row in outcomes if row[3] == role]
    counted = Counter(outcome for outcome, *_ in of_role)
    passed = [f"{suite}::{case}" for outcome, suite, case, _ in of_role if outcome == "PASSED"]
    assert [name for name in passed if not name.startswith(_SOUND_FROM_THE_START)] == []
    assert counted["ERROR"] == 0, "a case that is not written yet fails, it does not break"
    assert counted["FAILED"] >= 15
