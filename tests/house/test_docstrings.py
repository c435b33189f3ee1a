"""Modules and public names say in a sentence what they are, and say more than their name."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.house.source import (
    REPOSITORY,
    Function,
    expect_none,
    is_test,
    module_name,
    python_files,
    tree,
    where,
    write,
)

_STOP_WORDS = frozenset("a an the of for to this that its is are and or in on with from by".split())
_ELSEWHERE = frozenset({"overload", "override", "setter", "deleter"})
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")

_Documented = ast.Module | ast.ClassDef | Function


def missing_docstrings(root: Path) -> list[str]:
    """Modules, and public functions, classes and methods of the package, that have no docstring."""
    return [
        f"{where(root, path, line)} {name}"
        for path, line, name, node in _public(root)
        if not ast.get_docstring(node)
    ]


def empty_docstrings(root: Path) -> list[str]:
    """Docstrings that only repeat the name."""
    return [
        f"{where(root, path, line)} {name}: {text}"
        for path, line, name, node in _public(root)
        if (text := ast.get_docstring(node)) and _stems(text) <= _stems(name)
    ]


def _public(root: Path) -> Iterator[tuple[Path, int, str, _Documented]]:
    for path in python_files(root, "callwright", "bench", "tools"):
        if is_test(path) or "versions" in path.parts:
            continue
        module = tree(path)
        yield path, 1, module_name(root, path), module
        if "callwright" in path.relative_to(root).parts:
            yield from ((path, node.lineno, name, node) for name, node in _public_names(module))


def _public_names(
    scope: ast.Module | ast.ClassDef, prefix: str = ""
) -> Iterator[tuple[str, ast.ClassDef | Function]]:
    for node in scope.body:
        if not isinstance(node, ast.ClassDef | Function) or node.name.startswith("_"):
            continue
        if any(ast.unparse(item).split(".")[-1] in _ELSEWHERE for item in node.decorator_list):
            continue
        yield prefix + node.name, node
        if isinstance(node, ast.ClassDef):
            yield from _public_names(node, f"{node.name}.")


def _stems(text: str) -> set[str]:
    words = {word.lower() for word in _WORD.findall(text)} - _STOP_WORDS
    return {word.removesuffix("s") for word in words}


def test_public_names_are_documented() -> None:
    expect_none(missing_docstrings(REPOSITORY))


def test_docstrings_say_more_than_the_name() -> None:
    expect_none(empty_docstrings(REPOSITORY))


def test_missing_docstrings_are_found(tmp_path: Path) -> None:
    write(
        tmp_path, "callwright/a.py", "class A:\n    def f(self): ...\n    def _g(self): ...\ndef _h(): ...\n"
    )
    write(tmp_path, "callwright/test_a.py")
    write(tmp_path, "tools/b.py", "def f(): ...\n")
    assert missing_docstrings(tmp_path) == [
        "callwright/a.py:1 callwright.a",
        "callwright/a.py:1 A",
        "callwright/a.py:2 A.f",
        "tools/b.py:1 tools.b",
    ]


def test_a_docstring_that_repeats_the_name_is_found(tmp_path: Path) -> None:
    write(
        tmp_path,
        "callwright/a.py",
        '"""What a caller needs."""\n'
        'def close_client():\n    """Close the clients."""\n'
        'def open_client():\n    """Open a client; raises OSError."""\n',
    )
    assert empty_docstrings(tmp_path) == ["callwright/a.py:2 close_client: Close the clients."]
