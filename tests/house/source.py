"""How the house rules read the code: which files there are, their syntax trees, their imports."""

import ast
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]

CODE_FOLDERS = ("callwright", "tests", "bench", "tools")
_NOT_OURS = frozenset({"__pycache__", "node_modules", "dist", "build", "data", "results", "static"})
_HIDDEN_BUT_OURS = frozenset({".ci"})

Function = ast.FunctionDef | ast.AsyncFunctionDef


def walk(folder: Path) -> Iterator[Path]:
    """Every file below a folder that belongs to the repository, in a stable order."""
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if _is_ours(name))
        for name in sorted(files):
            if not name.endswith((".pyc", ".egg-info")) and name != ".env":
                yield Path(parent) / name


def _is_ours(folder_name: str) -> bool:
    if folder_name.startswith("."):
        return folder_name in _HIDDEN_BUT_OURS
    return folder_name not in _NOT_OURS


def python_files(root: Path, *folders: str) -> Iterator[Path]:
    """The Python files below the named folders of the repository; a folder that is absent has none."""
    for folder in folders or CODE_FOLDERS:
        yield from (path for path in walk(root / folder) if path.suffix == ".py")


def text_files(folder: Path) -> Iterator[tuple[Path, str]]:
    """Every file below a folder that is text, with its text."""
    for path in walk(folder):
        try:
            yield path, path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


def tree(path: Path) -> ast.Module:
    """The syntax tree of a Python file."""
    return _parse(path, path.stat().st_mtime_ns)


@cache
def _parse(path: Path, _version: int) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def where(root: Path, path: Path, line: int = 0) -> str:
    """A place for a message: path from the repository's folder, and the line."""
    name = path.relative_to(root).as_posix()
    return f"{name}:{line}" if line else name


def module_name(root: Path, path: Path) -> str:
    """The dotted name of a file's module; that of a package for its __init__.py."""
    parts = list(path.relative_to(root).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(root: Path, path: Path) -> Iterator[tuple[int, str]]:
    """Line and absolute name of all that a file imports; `from a import b` gives both a and a.b."""
    package = path.relative_to(root).parent.parts
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join((*above, *((node.module,) if node.module else ())))
            yield node.lineno, base
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def functions(path: Path) -> Iterator[Function]:
    """Every function and method of a file, nested ones too."""
    for node in ast.walk(tree(path)):
        if isinstance(node, Function):
            yield node


def classes(path: Path) -> Iterator[ast.ClassDef]:
    """Every class of a file."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ClassDef):
            yield node


def within(name: str, module: str) -> bool:
    """Whether a dotted name is the module or something in it."""
    return name == module or name.startswith(module + ".")


def is_test(path: Path) -> bool:
    """Whether a file holds tests or their fixtures."""
    return path.name.startswith("test_") or path.name == "conftest.py"


def integration_of(root: Path, path: Path) -> str | None:
    """The name of the integration that a file belongs to."""
    parts = path.relative_to(root).parts
    return parts[2] if parts[:2] == ("callwright", "integrations") and len(parts) > 3 else None


def is_simulator(root: Path, path: Path) -> bool:
    """Whether a file is an integration's simulator.py or lies in its simulator/ folder."""
    parts = path.relative_to(root).with_suffix("").parts
    return integration_of(root, path) is not None and parts[3] == "simulator"


def write(root: Path, name: str, text: str = "") -> Path:
    """Put a file into a pretended repository, for the tests of the checks."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def expect_none(found: list[str]) -> None:
    """Fail with the whole list of what was found."""
    assert not found, "\n" + "\n".join(found)
