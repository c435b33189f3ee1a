"""What the package imports is declared as its dependency, not borrowed from another's."""

import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

from tests.house.source import REPOSITORY, expect_none, imports, is_test, python_files, where, write

_NAME = re.compile(r"^[\w.-]+")


def undeclared(root: Path) -> list[str]:
    """Imports by the package of distributions that pyproject.toml does not name."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {_normal(match[0]) for item in project["dependencies"] if (match := _NAME.match(item))}
    providers = packages_distributions()
    found = set()
    for path in python_files(root, "callwright"):
        for line, name in () if is_test(path) else imports(root, path):
            top = name.partition(".")[0]
            if top in sys.stdlib_module_names or top == "callwright":
                continue
            if not {_normal(provider) for provider in providers.get(top, [top])} & declared:
                found.add(f"{where(root, path, line)}: {top}")
    return sorted(found)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_dependencies_are_declared() -> None:
    expect_none(undeclared(REPOSITORY))


def test_a_borrowed_dependency_is_found(tmp_path: Path) -> None:
    write(tmp_path, "pyproject.toml", '[project]\ndependencies = ["PyYAML>=6", "rich"]\n')
    write(
        tmp_path,
        "callwright/a.py",
        "import yaml\nimport rich.table\nimport os\nimport pygments\nimport gone\n",
    )
    write(tmp_path, "callwright/test_a.py", "import pytest\n")
    assert undeclared(tmp_path) == ["callwright/a.py:4: pygments", "callwright/a.py:5: gone"]
