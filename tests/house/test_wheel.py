"""What is installed holds everything that the package reads at run time, and no tests."""

import zipfile
from pathlib import Path

from hatchling.builders.wheel import WheelBuilder

from tests.house.source import REPOSITORY, expect_none, is_test, where, write


def missing_from_wheel(root: Path, wheel: Path) -> list[str]:
    """Files of the package that a wheel lacks; tests and what is compiled do not belong there."""
    held = set(zipfile.ZipFile(wheel).namelist())
    return [
        name
        for path in sorted((root / "callwright").rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts and not is_test(path)
        if (name := where(root, path)) not in held
    ]


def surplus_in_wheel(wheel: Path) -> list[str]:
    """Tests that a wheel holds."""
    return [name for name in zipfile.ZipFile(wheel).namelist() if is_test(Path(name))]


def test_the_wheel_is_complete(tmp_path: Path) -> None:
    (wheel,) = WheelBuilder(str(REPOSITORY)).build(directory=str(tmp_path))
    expect_none(missing_from_wheel(REPOSITORY, Path(wheel)))
    expect_none(surplus_in_wheel(Path(wheel)))


def test_what_is_missing_is_found(tmp_path: Path) -> None:
    for name in ("a.py", "world.yaml", "test_a.py"):
        write(tmp_path, f"callwright/{name}")
    with zipfile.ZipFile(tmp_path / "a.whl", "w") as archive:
        archive.writestr("callwright/a.py", "")
        archive.writestr("callwright/test_a.py", "")
    assert missing_from_wheel(tmp_path, tmp_path / "a.whl") == ["callwright/world.yaml"]
    assert surplus_in_wheel(tmp_path / "a.whl") == ["callwright/test_a.py"]
