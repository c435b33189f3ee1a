"""A blind except stands only where a call, a request or a loop is supervised, with the reason beside it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.house.source import REPOSITORY, expect_none, python_files, tree, where, write

BLIND = frozenset({"Exception", "BaseException", "ExceptionGroup", "BaseExceptionGroup"})
_PRAGMA = re.compile(r"#\s*(noqa|type:|pragma)[^#]*")
_WORDS = 3


def unexplained_excepts(root: Path) -> list[str]:
    """Blind excepts and suppressions without a comment on the line or next to it."""
    found: list[str] = []
    for path in python_files(root):
        lines = path.read_text(encoding="utf-8").splitlines()
        found.extend(
            f"{where(root, path, line)}: {lines[line - 1].strip()}"
            for line in _blind_lines(tree(path))
            if not _explained(lines, line)
        )
    return found


def _blind_lines(module: ast.Module) -> Iterator[int]:
    for node in ast.walk(module):
        if isinstance(node, ast.ExceptHandler):
            blind = (node.type is None or _is_blind(node.type)) and not _raises_again(node)
        elif isinstance(node, ast.Call):
            suppresses = ast.unparse(node.func).split(".")[-1] == "suppress"
            blind = suppresses and any(_is_blind(argument) for argument in node.args)
        else:
            continue
        if blind:
            yield node.lineno


def _raises_again(handler: ast.ExceptHandler) -> bool:
    """Whether a handler only cleans up: nothing is swallowed."""
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def _is_blind(expression: ast.expr) -> bool:
    parts = expression.elts if isinstance(expression, ast.Tuple) else [expression]
    return any(ast.unparse(part).split(".")[-1] in BLIND for part in parts)


def _explained(lines: list[str], line: int) -> bool:
    here = lines[line - 1].partition("#")
    around = [lines[line - 2].strip() if line > 1 else "", lines[line].strip() if line < len(lines) else ""]
    comments = [here[1] + here[2], *(text for text in around if text.startswith("#"))]
    return any(len(_PRAGMA.sub("", comment).strip("# ").split()) >= _WORDS for comment in comments)


def test_blind_excepts_are_explained() -> None:
    expect_none(unexplained_excepts(REPOSITORY))


def test_unexplained_excepts_are_found(tmp_path: Path) -> None:
    write(
        tmp_path,
        "callwright/a.py",
        "try: pass\nexcept Exception: pass\n"
        "try: pass\nexcept (ValueError, Exception) as error:  # noqa: BLE001\n    pass\n"
        "try: pass\nexcept: pass  # whatever\n"
        "with contextlib.suppress(Exception): pass\n",
    )
    assert [line.split(":")[1] for line in unexplained_excepts(tmp_path)] == ["2", "4", "7", "8"]


def test_explained_and_narrow_excepts_pass(tmp_path: Path) -> None:
    write(
        tmp_path,
        "callwright/a.py",
        "try: pass\nexcept Exception:  # one call must not end the others\n    pass\n"
        "try:\n    pass\n# the loop outlives a bad item\nexcept Exception:\n    pass\n"
        "try: pass\nexcept Exception:\n    # one call must not end the others\n    pass\n"
        "try: pass\nexcept BaseException:\n    close()\n    raise\n"
        "try: pass\nexcept ValueError: pass\n",
    )
    assert unexplained_excepts(tmp_path) == []
