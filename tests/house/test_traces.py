"""Nothing tells of the machine that the repository was made on; no file has a name that means nothing."""

import re
from pathlib import Path

from tests.house.source import CODE_FOLDERS, REPOSITORY, expect_none, text_files, walk, where, write

_SLASH = "/"  # kept apart so that this file does not hold what it looks for
MACHINE_PATHS = re.compile(
    rf"(?<![\w.~{{}}-]){_SLASH}(?:work|farm|root)(?![\w-])|(?<![\w.]){_SLASH}(?:home|Users){_SLASH}\w|{_SLASH}opt{_SLASH}pypi"
)
REGISTRY_HOSTS = re.compile(
    r"pypi\.(?:org|python)|python"
    r"hosted\.org|npm"
    r"js\.(?:org|com)|registry\."
    r"yarn|crates"
    r"\.io"
)
INDEX_OPTIONS = re.compile(r"^\s*(?:-i|-f|--(?:extra-)?index-url|--find-links|--trusted-host)\b|://")
MEANINGLESS = frozenset({"helper", "helpers", "util", "utils", "manager", "managers"})


def machine_paths(root: Path) -> list[str]:
    """Lines that hold a path of somebody's machine."""
    return _lines(root, MACHINE_PATHS)


def registry_hosts(root: Path) -> list[str]:
    """Lines that name the host of a package registry."""
    return _lines(root, REGISTRY_HOSTS)


def index_options(root: Path) -> list[str]:
    """Lines of the locks that say where packages come from."""
    return [
        f"{where(root, path, number)}: {line.strip()}"
        for path, text in text_files(root / "requirements")
        for number, line in enumerate(text.splitlines(), start=1)
        if INDEX_OPTIONS.search(line)
    ]


def meaningless_names(root: Path) -> list[str]:
    """Files and folders named after nothing they hold."""
    return sorted(
        {
            where(root, part)
            for folder in CODE_FOLDERS
            for path in walk(root / folder)
            for part in (path, *path.parents)
            if part.stem in MEANINGLESS and part.is_relative_to(root)
        }
    )


def _lines(root: Path, pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{where(root, path, number)}: {match[0]}"
        for path, text in text_files(root)
        for number, line in enumerate(text.splitlines(), start=1)
        for match in pattern.finditer(line)
    ]


def test_no_machine_path() -> None:
    expect_none(machine_paths(REPOSITORY))


def test_machine_paths_are_found(tmp_path: Path) -> None:
    bad = f"a = '{_SLASH}work{_SLASH}x'\nb = '{_SLASH}home{_SLASH}ann'\ncd {_SLASH}root\n"
    write(tmp_path, "a.sh", bad + "GET /workflows; api/work; ./work/x; /rooted\n")
    assert [line.split(":")[1] for line in machine_paths(tmp_path)] == ["1", "2", "3"]


def test_no_registry_host() -> None:
    expect_none(registry_hosts(REPOSITORY))


def test_registry_hosts_are_found(tmp_path: Path) -> None:
    write(tmp_path, "docs/a.md", "see pypi" + ".org\n")
    assert registry_hosts(tmp_path) == ["docs/a.md:1: pypi" + ".org"]


def test_the_locks_do_not_say_where_packages_come_from() -> None:
    expect_none(index_options(REPOSITORY))


def test_index_options_are_found(tmp_path: Path) -> None:
    write(
        tmp_path,
        "requirements/a.txt",
        "--extra-index-url x\nrich==15 \\\n    --hash=sha256:1\nx @ file:///x\n",
    )
    assert [line.split(":")[1] for line in index_options(tmp_path)] == ["1", "4"]


def test_names_mean_something() -> None:
    expect_none(meaningless_names(REPOSITORY))


def test_meaningless_names_are_found(tmp_path: Path) -> None:
    write(tmp_path, "callwright/calls/utils.py")
    write(tmp_path, "tests/helpers/a.py")
    assert meaningless_names(tmp_path) == ["callwright/calls/utils.py", "tests/helpers"]
