"""Settings from the environment and .env: the only place that reads them. Every problem is reported at once."""

import difflib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote, urlsplit

from dotenv import dotenv_values
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from callwright.domain.errors import ConfigurationError, Problem
from callwright.domain.hours import CallingHours
from callwright.registry import IntegrationSettings, IntegrationSpec, integrations

_CLOSE_ENOUGH = 0.75
_Model = TypeVar("_Model", bound=BaseModel)


class Settings(BaseModel):
    """Settings of Callwright itself. Names that the source documents gave are kept."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    database_url: str = Field(
        "",
        validation_alias="DATABASE_URL",
        description="PostgreSQL URL; empty means SQLite in the data folder.",
    )
    data_dir: Path = Field(
        Path("data"),
        validation_alias="DATA_DIR",
        description="Folder for SQLite, recordings and the generated key.",
    )
    our_base_url: str = Field(
        "",
        validation_alias="OUR_BASE_URL",
        description="Public https address at which vendors reach this server.",
    )
    media_base_url: str = Field(
        "",
        validation_alias="MEDIA_BASE_URL",
        description="Public wss address of this process's media sockets; by default OUR_BASE_URL.",
    )
    host: str = Field("127.0.0.1", validation_alias="HOST", description="Address to listen on.")
    port: int = Field(
        8080, validation_alias="PORT", ge=0, le=65535, description="Port for everything; 0 = any."
    )
    slot: str = Field(
        "main",
        validation_alias="CALLWRIGHT_SLOT",
        pattern=r"^[a-z0-9-]{1,32}$",
        description="Stable name of this process among several on one PostgreSQL database.",
    )
    secret_key: SecretStr | None = Field(
        None,
        validation_alias="SECRET_KEY",
        description="Key for encryption at rest; generated in the data folder.",
    )
    max_concurrent_calls: int = Field(
        20,
        validation_alias="MAX_CONCURRENT_CALLS",
        ge=1,
        le=2000,
        description="Calls in flight at once, in all.",
    )
    calling_hours: str = Field(
        "10:00-19:00 mon-sat",
        validation_alias="CALLING_HOURS",
        description="When people may be called, in their own local time; an agent may narrow it.",
    )
    default_region: str | None = Field(
        None,
        validation_alias="DEFAULT_REGION",
        pattern="^[A-Z]{2}$",
        description="ISO country for phone numbers that have no country code.",
    )
    log_level: str = Field(
        "INFO",
        validation_alias="LOG_LEVEL",
        pattern="^(DEBUG|INFO|WARNING|ERROR)$",
        description="Least level logged.",
    )
    keep_recordings_days: int = Field(
        90,
        validation_alias="KEEP_RECORDINGS_DAYS",
        ge=1,
        description="Recordings are deleted after this many days.",
    )
    simulated_clock_shift_s: float = Field(
        0.0,
        validation_alias="SIMULATED_CLOCK_SHIFT_S",
        description="Moves the clock in a simulated world; refused unless every vendor address is loopback.",
    )

    @field_validator("calling_hours")
    @classmethod
    def _hours_parse(cls, value: str) -> str:
        return str(CallingHours.parse(value))

    @field_validator("our_base_url", "media_base_url")
    @classmethod
    def _no_slash(cls, value: str) -> str:
        return value.rstrip("/")


class ClientSettings(BaseModel):
    """What the commands that talk to a running server need: where it is, and a key."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    api_key: SecretStr | None = Field(
        None,
        validation_alias="CALLWRIGHT_API_KEY",
        description="API key with which commands such as `callwright call` ask the running server.",
    )
    url: str = Field(
        "",
        validation_alias="CALLWRIGHT_URL",
        pattern=r"^(https?://\S+)?$",
        description="Where those commands find the running server; by default OUR_BASE_URL, then this machine.",
    )

    @field_validator("url")
    @classmethod
    def _no_slash(cls, value: str) -> str:
        return value.rstrip("/")


@dataclass(frozen=True, slots=True)
class Configuration:
    """Everything that was configured: our settings, and those of each integration that is in use."""

    settings: Settings
    integrations: Mapping[str, tuple[IntegrationSpec, IntegrationSettings]]


def read_environment(folder: Path | None = None) -> dict[str, str]:
    """The .env file of a folder (default: the working one), overridden by the environment."""
    path = (folder or Path()) / ".env"
    file = (
        {key: value for key, value in dotenv_values(path).items() if value is not None}
        if path.is_file()
        else {}
    )
    return {**file, **os.environ}


def child_environment(settings: Mapping[str, str]) -> dict[str, str]:
    """An environment for a process of ours that has exactly these settings."""
    kept = ("PATH", "HOME", "LANG", "TMPDIR")
    return {name: os.environ[name] for name in kept if name in os.environ} | dict(settings)


def load(environment: Mapping[str, str] | None = None) -> Configuration:
    """Read and check all settings; raises ConfigurationError that lists every problem and what to do.

    An integration is in use when one of its variables is set. Empty values count as not set.
    """
    source = read_environment() if environment is None else environment
    given = {key: value.strip() for key, value in source.items() if value.strip()}
    problems: list[Problem] = []
    settings = _read(Settings, given, problems)
    used: dict[str, tuple[IntegrationSpec, IntegrationSettings]] = {}
    for name, spec in integrations().items():
        if not any(variable in given for variable in spec.environment_names()):
            continue
        parsed = _read(spec.settings, given, problems)
        if parsed is not None:
            used[name] = (spec, parsed)
    problems.extend(_unknown(given))
    if problems or settings is None:
        raise ConfigurationError(*problems)
    return Configuration(settings, used)


def load_client(environment: Mapping[str, str] | None = None) -> ClientSettings:
    """Read where the server is and the key; raises ConfigurationError. Other settings are not looked at.

    Without CALLWRIGHT_URL it is OUR_BASE_URL, and without that the default address of `callwright serve`.
    """
    source = read_environment() if environment is None else environment
    given = {key: value.strip() for key, value in source.items() if value.strip()}
    problems: list[Problem] = []
    client = _read(ClientSettings, given, problems)
    if client is None:
        raise ConfigurationError(*problems)
    if client.url:
        return client
    port = given.get("PORT") or Settings.model_fields["port"].default
    return client.model_copy(
        update={"url": given.get("OUR_BASE_URL", f"http://127.0.0.1:{port}").rstrip("/")}
    )


def declared_variables() -> dict[str, str]:
    """Every variable that is read, and its description."""
    models: Iterable[type[BaseModel]] = [
        Settings,
        ClientSettings,
        *(spec.settings for spec in integrations().values()),
    ]
    return {
        str(field.validation_alias): field.description or ""
        for model in models
        for field in model.model_fields.values()
    }


def secret_values(configuration: Configuration) -> list[str]:
    """Every secret among the settings, for redaction."""
    models: list[BaseModel] = [
        configuration.settings,
        *(item[1] for item in configuration.integrations.values()),
    ]
    values = (getattr(model, name) for model in models for name in type(model).model_fields)
    secrets = [value.get_secret_value() for value in values if isinstance(value, SecretStr)]
    password = urlsplit(configuration.settings.database_url).password
    return [*secrets, *([password, unquote(password)] if password else [])]


def _read(model: type[_Model], given: Mapping[str, str], problems: list[Problem]) -> _Model | None:
    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        descriptions = {
            str(field.validation_alias): field.description for field in model.model_fields.values()
        }
        for item in error.errors():
            name = ".".join(str(part) for part in item["loc"]) or model.__name__
            what = "is not set." if item["type"] == "missing" else f"{item['msg']}."
            problems.append(Problem(name, what, descriptions.get(name) or ""))
        return None


def _unknown(given: Mapping[str, str]) -> list[Problem]:
    """Variables that look like ours but are not: a vendor's prefix, or one letter away from a known name."""
    known = declared_variables()
    prefixes = tuple(f"{name.upper()}_" for name in (*integrations(), "callwright"))
    problems = []
    for name in given:
        if name in known or not name.startswith(prefixes):
            continue
        close = difflib.get_close_matches(name, known, 1, _CLOSE_ENOUGH)
        remedy = f"Did you mean {close[0]}?" if close else "Remove it, or check its spelling."
        problems.append(Problem(name, "is not a setting.", remedy))
    return problems
