"""Whoever silences a tool says why."""

import io
import re
import tokenize
from pathlib import Path

from tests.house.source import REPOSITORY, expect_none, python_files, where, write

_PRAGMA = re.compile(r"#\s*(?:noqa(?::\s*[A-Z]+\d+(?:,\s*[A-Z]+\d+)*)?|type:\s*ignore(?:\[[\w, -]+\])?)")
_LIST_ITEM = re.compile(r'^\s+"[A-Z]+\d*",')
_WORDS = 2


def unexplained_pragmas(root: Path) -> list[str]:
    """`noqa` and `type: ignore` comments without a reason on the line or in a comment above it."""
    found = []
    for path in python_files(root):
        text = path.read_text(encoding="utf-8")
        lines = text.splitlines()
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT and _PRAGMA.search(token.string):
                above = lines[token.start[0] - 2].strip() if token.start[0] > 1 else ""
                reasons = _PRAGMA.sub("", token.string) + (above if above.startswith("#") else "")
                if len(re.findall(r"[A-Za-z]+", reasons)) < _WORDS:
                    found.append(f"{where(root, path, token.start[0])}: {token.string}")
    return found


def unexplained_ignores(root: Path) -> list[str]:
    """Rules that pyproject.toml switches off without a reason on the line."""
    path = root / "pyproject.toml"
    return [
        f"{where(root, path, number)}: {line.strip()}"
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if _LIST_ITEM.match(line) and "#" not in line
    ]


def test_pragmas_are_explained() -> None:
    expect_none(unexplained_pragmas(REPOSITORY))


def test_unexplained_pragmas_are_found(tmp_path: Path) -> None:
    write(
        tmp_path,
        "callwright/a.py",
        "a = 1  # noqa\nb = 1  # noqa: E501, D100\nc = 1  # type: ignore[no-any-return]\n"
        "d = 1  # noqa: E501 a table reads best whole\n"
        "# the stub is wrong here\ne = 1  # type: ignore[arg-type]\n"
        "f = '# noqa'\n",
    )
    assert [line.split(":")[1] for line in unexplained_pragmas(tmp_path)] == ["1", "2", "3"]


def test_ignored_rules_are_explained() -> None:
    expect_none(unexplained_ignores(REPOSITORY))


def test_unexplained_ignores_are_found(tmp_path: Path) -> None:
    write(tmp_path, "pyproject.toml", 'ignore = [\n    "E501",  # tables\n    "D100",\n]\n')
    assert unexplained_ignores(tmp_path) == ['pyproject.toml:3: "D100",']
