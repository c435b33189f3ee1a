"""Every integration has the same shape, so that whoever knows one knows all."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.house.source import REPOSITORY, expect_none, tree, walk, write

_OBJECT_PATH = re.compile(r"^(?P<module>[\w.]+):(?P<name>\w+)$")


def misshapen(root: Path) -> list[str]:
    """What is missing from the folders of callwright/integrations."""
    folder = root / "callwright" / "integrations"
    if not folder.is_dir():
        return []
    return [
        f"{vendor.name}: {problem}"
        for vendor in sorted(folder.iterdir())
        if vendor.is_dir() and vendor.name[0] not in "_." and any(walk(vendor))
        for problem in _problems(root, vendor)
    ]


def _problems(root: Path, vendor: Path) -> Iterator[str]:
    spec = vendor / "__init__.py"
    if not spec.is_file() or not _assigns_spec(spec):
        yield "__init__.py does not define SPEC"
    else:
        yield from _broken_paths(root, vendor, spec)
    if not (vendor / "README.md").is_file():
        yield "has no README.md"
    if not (vendor / "simulator.py").is_file() and not (vendor / "simulator" / "__init__.py").is_file():
        yield "has neither simulator.py nor simulator/"
    if not any(path.name != "__init__.py" for path in walk(vendor / "fixtures")):
        yield "has nothing in fixtures/"
    if not any(vendor.glob("test_*.py")):
        yield "has no test_*.py"


def _assigns_spec(path: Path) -> bool:
    targets = [
        target
        for node in tree(path).body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
    ]
    return any(isinstance(target, ast.Name) and target.id == "SPEC" for target in targets)


def _broken_paths(root: Path, vendor: Path, spec: Path) -> Iterator[str]:
    """What the SPEC names as "module:Class" lies in the vendor's own folder and exists."""
    for node in ast.walk(tree(spec)):
        text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
        if not (match := _OBJECT_PATH.match(text)):
            continue
        base = root.joinpath(*match["module"].split("."))
        path = next(
            (item for item in (base.with_suffix(".py"), base / "__init__.py") if item.is_file()), None
        )
        if not base.is_relative_to(vendor):
            yield f"{text} is outside its folder"
        elif path is None or match["name"] not in _top_names(path):
            yield f"{text} does not exist"


def _top_names(path: Path) -> set[str]:
    names = set()
    for node in tree(path).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
    return names


def test_integrations_have_the_standard_shape() -> None:
    expect_none(misshapen(REPOSITORY))


def test_missing_parts_are_found(tmp_path: Path) -> None:
    folder = "callwright/integrations/acme"
    write(tmp_path, f"{folder}/client.py")
    write(tmp_path, "callwright/integrations/gone/__pycache__/client.pyc")
    assert misshapen(tmp_path) == [
        "acme: __init__.py does not define SPEC",
        "acme: has no README.md",
        "acme: has neither simulator.py nor simulator/",
        "acme: has nothing in fixtures/",
        "acme: has no test_*.py",
    ]


def test_a_whole_integration_passes_and_a_wrong_path_does_not(tmp_path: Path) -> None:
    folder = "callwright/integrations/acme"
    package = "callwright.integrations.acme"
    for name in ("README.md", "fixtures/a.json", "test_acme.py"):
        write(tmp_path, f"{folder}/{name}")
    write(tmp_path, f"{folder}/simulator/__init__.py", "class AcmeSimulator: ...\n")
    write(tmp_path, f"{folder}/__init__.py", f"SPEC = dict(simulator='{package}.simulator:AcmeSimulator')\n")
    assert misshapen(tmp_path) == []
    write(
        tmp_path, f"{folder}/__init__.py", f"SPEC = ('{package}.crm:Acme', 'callwright.integrations.b:B')\n"
    )
    assert misshapen(tmp_path) == [
        f"acme: {package}.crm:Acme does not exist",
        "acme: callwright.integrations.b:B is outside its folder",
    ]
