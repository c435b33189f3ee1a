"""Who may read the environment, touch samples, use pydantic, and know a simulator."""

import ast
from collections.abc import Callable
from pathlib import Path

from tests.house.source import (
    REPOSITORY,
    expect_none,
    imports,
    integration_of,
    is_simulator,
    is_test,
    python_files,
    tree,
    where,
    within,
    write,
)

SAMPLE_MODULES = ("numpy", "scipy", "audioop", "wave", "soxr", "callwright.audio")
SAMPLE_LAYERS = frozenset({"audio", "media", "simulation"})
FRAME_LAYERS = frozenset({"audio", "media"})
FRAME_FILES = frozenset({"media.py", "session.py"})
SIMULATOR_MAY_IMPORT = (
    "callwright.simulation",
    "callwright.audio",
    "callwright.domain.audio",
    "callwright.ports.clock",
)
ENVIRONMENT = frozenset({"os.environ", "os.environb", "os.getenv", "os.putenv"})


def environment_readers(root: Path) -> list[str]:
    """Places in the package, other than config and tests, that use the process's environment."""
    found: list[str] = []
    for path in _package(root):
        if _layer(root, path) == "config":
            continue
        lines = {line for line, name in imports(root, path) if name in ENVIRONMENT}
        lines |= {
            node.lineno
            for node in ast.walk(tree(path))
            if isinstance(node, ast.Attribute) and ast.unparse(node) in ENVIRONMENT
        }
        found.extend(where(root, path, line) for line in sorted(lines))
    return found


def sample_users(root: Path) -> list[str]:
    """Imports of sample arithmetic outside the audio plane and the simulators."""
    return _importers(
        root,
        SAMPLE_MODULES,
        lambda path: _layer(root, path) not in SAMPLE_LAYERS and not is_simulator(root, path),
    )


def slow_media(root: Path) -> list[str]:
    """Imports of pydantic where every 20 ms frame of every call passes."""
    return _importers(
        root,
        ("pydantic", "pydantic_settings"),
        lambda path: (
            _layer(root, path) in FRAME_LAYERS or (integration_of(root, path) and path.name in FRAME_FILES)
        ),
    )


def shared_code(root: Path) -> list[str]:
    """Imports between a simulator and anything that an adapter is made of, in either direction.

    A simulator that shared code with its adapter would share its errors, and the tests would see neither.
    """
    found = set()
    for path in _package(root):
        vendor = integration_of(root, path)
        if vendor is None:
            continue
        own = f"callwright.integrations.{vendor}.simulator"
        for line, name in imports(root, path):
            if is_simulator(root, path):
                wrong = within(name, "callwright") and not any(
                    within(name, module) for module in (own, *SIMULATOR_MAY_IMPORT)
                )
            else:
                wrong = within(name, own)
            if wrong and not _is_parent(name, SIMULATOR_MAY_IMPORT):
                found.add(f"{where(root, path, line)}: {name}")
    return sorted(found)


def _is_parent(name: str, modules: tuple[str, ...]) -> bool:
    """Whether a name is only the package in `from package import module`."""
    return any(module.startswith(name + ".") for module in modules)


def _package(root: Path) -> list[Path]:
    return [path for path in python_files(root, "callwright") if not is_test(path)]


def _layer(root: Path, path: Path) -> str:
    return path.relative_to(root).with_suffix("").parts[1]


def _importers(root: Path, modules: tuple[str, ...], concerns: Callable[[Path], object]) -> list[str]:
    return [
        f"{where(root, path, line)}: {name}"
        for path in _package(root)
        if concerns(path)
        for line, name in imports(root, path)
        if any(within(name, module) for module in modules)
    ]


def test_only_config_reads_the_environment() -> None:
    expect_none(environment_readers(REPOSITORY))


def test_readers_of_the_environment_are_found(tmp_path: Path) -> None:
    write(tmp_path, "callwright/config.py", "import os\nos.environ\n")
    write(tmp_path, "callwright/api/test_a.py", "import os\nos.environ\n")
    write(tmp_path, "callwright/api/a.py", "import os\nkey = os.environ.get('KEY')\nos.getenv('KEY')\n")
    write(tmp_path, "callwright/api/b.py", "from os import environ\n")
    assert environment_readers(tmp_path) == [
        "callwright/api/a.py:2",
        "callwright/api/a.py:3",
        "callwright/api/b.py:1",
    ]


def test_only_the_audio_plane_touches_samples() -> None:
    expect_none(sample_users(REPOSITORY))


def test_sample_work_elsewhere_is_found(tmp_path: Path) -> None:
    for name in ("audio/pcm", "media/bridge", "simulation/phone", "integrations/acme/simulator/voice"):
        write(tmp_path, f"callwright/{name}.py", "import numpy as np\nfrom callwright.audio import g711\n")
    write(tmp_path, "callwright/integrations/acme/media.py", "from callwright import audio\n")
    write(tmp_path, "callwright/api/a.py", "from numpy.typing import NDArray\n")
    assert sample_users(tmp_path) == [
        "callwright/api/a.py:1: numpy.typing",
        "callwright/api/a.py:1: numpy.typing.NDArray",
        "callwright/integrations/acme/media.py:1: callwright.audio",
    ]


def test_no_pydantic_on_the_media_path() -> None:
    expect_none(slow_media(REPOSITORY))


def test_pydantic_on_the_media_path_is_found(tmp_path: Path) -> None:
    write(tmp_path, "callwright/media/a.py", "import pydantic\n")
    write(tmp_path, "callwright/integrations/acme/media.py", "import pydantic\n")
    write(tmp_path, "callwright/integrations/acme/settings.py", "import pydantic\n")
    assert slow_media(tmp_path) == [
        "callwright/integrations/acme/media.py:1: pydantic",
        "callwright/media/a.py:1: pydantic",
    ]


def test_simulators_and_adapters_share_no_code() -> None:
    expect_none(shared_code(REPOSITORY))


def test_shared_code_is_found(tmp_path: Path) -> None:
    folder = "callwright/integrations/acme"
    write(
        tmp_path,
        f"{folder}/simulator/__init__.py",
        "from . import wire\nfrom ..client import URL\nfrom callwright.toolkit.signatures import same\n"
        "from callwright.simulation.world import World\nfrom callwright.ports.clock import Clock\n"
        "from callwright.ports import clock\nimport json\n",
    )
    write(tmp_path, f"{folder}/client.py", "from .simulator import TOKEN\n")
    write(tmp_path, f"{folder}/test_client.py", "from .simulator import TOKEN\n")
    place = f"{folder}/simulator/__init__.py"
    assert shared_code(tmp_path) == [
        f"{folder}/client.py:1: callwright.integrations.acme.simulator",
        f"{folder}/client.py:1: callwright.integrations.acme.simulator.TOKEN",
        f"{place}:2: callwright.integrations.acme.client",
        f"{place}:2: callwright.integrations.acme.client.URL",
        f"{place}:3: callwright.toolkit.signatures",
        f"{place}:3: callwright.toolkit.signatures.same",
    ]
