"""Small files, short functions, small classes, few parameters."""

import ast
from pathlib import Path

from tests.house.source import (
    CODE_FOLDERS,
    REPOSITORY,
    Function,
    classes,
    expect_none,
    functions,
    python_files,
    where,
    write,
)

FILE_LINES = 400
LONG_FILE_LINES = 600
LONG_FILES: dict[str, str] = {}
"""Path of a file that may have up to LONG_FILE_LINES lines -> why it is better whole."""

FUNCTION_LINES = 50
SHORT_SHARE = 0.95
CLASS_METHODS = 25
PARAMETERS = 8


def long_files(root: Path, allowed: dict[str, str]) -> list[str]:
    """Files above the limit, and allowances that nobody needs."""
    found = []
    unused = set(allowed)
    for path in python_files(root):
        name = where(root, path)
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > FILE_LINES:
            unused.discard(name)
        if lines > (LONG_FILE_LINES if name in allowed else FILE_LINES):
            found.append(f"{name}: {lines} lines")
    return found + [f"{name}: needs no allowance any more" for name in sorted(unused)]


def function_lengths(root: Path, *folders: str) -> list[tuple[int, str]]:
    """Length in lines, place and name of every function, longest first."""
    return sorted(
        (
            (_lines(function), f"{where(root, path, function.lineno)} {function.name}")
            for path in python_files(root, *folders)
            for function in functions(path)
        ),
        reverse=True,
    )


def _lines(function: Function) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


def short_share(lengths: list[tuple[int, str]]) -> float:
    """The share of functions within the limit."""
    if not lengths:
        return 1.0
    return sum(lines <= FUNCTION_LINES for lines, _ in lengths) / len(lengths)


def report(root: Path) -> str:
    """One line about the functions of the package."""
    lengths = function_lengths(root, "callwright")
    worst = f"; longest: {lengths[0][0]} lines, {lengths[0][1]}" if lengths else ""
    return f"{len(lengths)} functions, {short_share(lengths):.1%} within {FUNCTION_LINES} lines{worst}"


def large_classes(root: Path) -> list[str]:
    """Classes with too many methods."""
    return [
        f"{where(root, path, found.lineno)} {found.name}: {count} methods"
        for path in python_files(root)
        for found in classes(path)
        if (count := sum(isinstance(node, Function) for node in found.body)) > CLASS_METHODS
    ]


def wide_functions(root: Path) -> list[str]:
    """Functions with too many parameters; self and cls do not count."""
    return [
        f"{where(root, path, function.lineno)} {function.name}: {count} parameters"
        for path in python_files(root)
        for function in functions(path)
        if (count := _parameters(function.args)) > PARAMETERS
    ]


def _parameters(arguments: ast.arguments) -> int:
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    bound = bool(named) and named[0].arg in {"self", "cls"}
    return len(named) - bound + bool(arguments.vararg) + bool(arguments.kwarg)


def test_files_are_small() -> None:
    expect_none(long_files(REPOSITORY, LONG_FILES))


def test_a_long_file_is_found_and_an_allowance_has_an_end(tmp_path: Path) -> None:
    write(tmp_path, "callwright/a.py", "pass\n" * 401)
    write(tmp_path, "callwright/b.py", "pass\n" * 600)
    write(tmp_path, "callwright/c.py", "pass\n" * 601)
    allowed = {"callwright/b.py": "", "callwright/c.py": "", "callwright/d.py": ""}
    assert long_files(tmp_path, allowed) == [
        "callwright/a.py: 401 lines",
        "callwright/c.py: 601 lines",
        "callwright/d.py: needs no allowance any more",
    ]


def test_functions_are_short() -> None:
    for folders in (("callwright",), CODE_FOLDERS):
        lengths = function_lengths(REPOSITORY, *folders)
        assert short_share(lengths) >= SHORT_SHARE, "\n".join(
            f"{lines}: {name}" for lines, name in lengths[:20]
        )


def test_long_functions_lower_the_share(tmp_path: Path) -> None:
    body = "    pass\n"
    write(tmp_path, "callwright/a.py", f"def long():\n{body * 50}\n\ndef short():\n{body * 49}")
    lengths = function_lengths(tmp_path, "callwright")
    assert lengths == [(51, "callwright/a.py:1 long"), (50, "callwright/a.py:54 short")]
    assert short_share(lengths) == 0.5
    assert report(tmp_path) == "2 functions, 50.0% within 50 lines; longest: 51 lines, callwright/a.py:1 long"


def test_classes_are_small() -> None:
    expect_none(large_classes(REPOSITORY))


def test_a_large_class_is_found(tmp_path: Path) -> None:
    methods = "".join(f"    def m{number}(self): ...\n" for number in range(26))
    write(tmp_path, "bench/a.py", f"class Everything:\n{methods}")
    assert large_classes(tmp_path) == ["bench/a.py:1 Everything: 26 methods"]


def test_functions_have_few_parameters() -> None:
    expect_none(wide_functions(REPOSITORY))


def test_a_wide_function_is_found(tmp_path: Path) -> None:
    write(
        tmp_path,
        "tools/a.py",
        "class A:\n    def f(self, a, b, c, d, *, e, f, g, h): ...\n"
        "    async def g(self, a, b, c, d, e, f, g, *h, **i): ...\n",
    )
    assert wide_functions(tmp_path) == ["tools/a.py:3 g: 9 parameters"]
