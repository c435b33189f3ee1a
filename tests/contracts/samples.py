"""What an integration tells the suites about itself: fixtures/demo.yaml and fixtures/contract.yaml."""

from collections.abc import Mapping
from importlib import resources
from typing import Any

import pytest
import yaml

from callwright.registry import IntegrationSpec


class Sample:
    """One of the files; `${NAME}` in it stands for a variable of the simulator's environment."""

    def __init__(self, spec: IntegrationSpec, name: str, environment: Mapping[str, str]) -> None:
        self._where = f"{spec.name}: fixtures/{name}.yaml"
        self._environment = environment
        package = spec.simulator.partition(":")[0].rpartition(".")[0]
        file = resources.files(package) / "fixtures" / f"{name}.yaml"
        self._content: Any = yaml.safe_load(file.read_text("utf-8")) if file.is_file() else {}

    def get(self, key: str) -> Any:
        """What the file says under a key; fails when it says nothing."""
        if key not in (self._content or {}):
            pytest.fail(
                f"{self._where} has no `{key}`; docs/adding-an-integration.md tells what belongs there"
            )
        return self._filled(self._content[key])

    def _filled(self, value: Any) -> Any:
        if isinstance(value, str):
            for name, setting in self._environment.items():
                value = value.replace(f"${{{name}}}", setting)
            return value
        if isinstance(value, dict):
            return {key: self._filled(item) for key, item in value.items()}
        return [self._filled(item) for item in value] if isinstance(value, list) else value
