"""Settings from the environment and .env: the only place that reads them. Every problem is reported at once."""

import difflib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote, urlsplit

from dotenv import dotenv_values
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from callwright.domain.errors import ConfigurationError, Problem
from callwright.domain.hours import CallingHours
from callwright.domain.phone import is_region
from callwright.domain.wording import problems_of
from callwright.registry import IntegrationSettings, IntegrationSpec, integrations

_ALIKE = 0.75
_SURELY_MEANT = 0.88
"""A name that is so close to a setting's is a slip of the pen, such as DATABSE_URL (0.95)."""

_LONG_ENOUGH = 8
"""Shorter names of settings (HOST, PORT) are too often close to what other programs read."""

_OURS = "CALLWRIGHT_"
_HOST = re.compile(r"^[a-z0-9._-]+$|^[0-9a-f:.]+(%[a-z0-9]+)?$")
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
_DATABASES = ("postgres", "postgresql", "sqlite")
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
        description="Stable name of this process among several on one PostgreSQL database: a-z, 0-9, -.",
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
        description="ISO country, such as GB, for phone numbers that have no country code.",
    )
    log_level: str = Field(
        "INFO",
        validation_alias="LOG_LEVEL",
        description="Least level logged: DEBUG, INFO, WARNING or ERROR.",
    )
    keep_recordings_days: int = Field(
        90,
        validation_alias="KEEP_RECORDINGS_DAYS",
        ge=1,
        description="Recordings are deleted after this many days.",
    )
    keep_transcripts_days: int = Field(
        0,
        validation_alias="KEEP_TRANSCRIPTS_DAYS",
        ge=0,
        description="What was said in finished calls is deleted after this many days; 0 keeps it for ever.",
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

    @field_validator("our_base_url")
    @classmethod
    def _web_address(cls, value: str) -> str:
        return _address(value, ("https", "http"))

    @field_validator("media_base_url")
    @classmethod
    def _media_address(cls, value: str) -> str:
        return _address(value, ("wss", "ws", "https", "http"))

    @field_validator("database_url")
    @classmethod
    def _database_kind(cls, value: str) -> str:
        """The value may hold a password, so it is not repeated."""
        example = "write it as postgresql://user:password@host/name, or leave it empty for SQLite"
        scheme, mark, rest = value.partition("://")
        if value and not (mark and rest):
            raise ValueError(f"is not a database URL; {example}")
        if value and scheme.partition("+")[0] not in _DATABASES:
            raise ValueError(f"is of another kind of database; {example}")
        return value

    @field_validator("default_region")
    @classmethod
    def _region_exists(cls, value: str | None) -> str | None:
        region = value.upper() if value is not None else None
        if region is not None and not is_region(region):
            raise ValueError(f"{value!r} is not an ISO country code of two letters, such as GB or IN")
        return region

    @field_validator("log_level")
    @classmethod
    def _level_exists(cls, value: str) -> str:
        if value.upper() not in _LEVELS:
            raise ValueError(f"{value!r} is none of {', '.join(_LEVELS)}")
        return value.upper()


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
        description="Where those commands find the running server; by default OUR_BASE_URL, then this machine.",
    )

    @field_validator("url")
    @classmethod
    def _web_address(cls, value: str) -> str:
        return _address(value, ("https", "http"))


@dataclass(frozen=True, slots=True)
class Configuration:
    """Everything that was configured: our settings, and those of each integration that is in use.

    `doubts` are names that may be misspelt settings, or belong to other programs.
    """

    settings: Settings
    integrations: Mapping[str, tuple[IntegrationSpec, IntegrationSettings]]
    doubts: tuple[Problem, ...] = ()


def read_environment(folder: Path | None = None) -> dict[str, str]:
    """The .env file of a folder (default: the working one), overridden by the environment."""
    return {**read_file(folder), **os.environ}


def read_file(folder: Path | None = None) -> dict[str, str]:
    """What the .env file of a folder (default: the working one) sets."""
    path = (folder or Path()) / ".env"
    if not path.is_file():
        return {}
    try:
        values = dotenv_values(path)
    except UnicodeDecodeError as error:
        raise ConfigurationError(Problem(str(path), "is not UTF-8 text.", "Save it as UTF-8.")) from error
    except OSError as error:
        what = f"cannot be read ({error.strerror})."
        raise ConfigurationError(Problem(str(path), what, "Let this user read it, or remove it.")) from error
    return {key: value for key, value in values.items() if value is not None}


def child_environment(settings: Mapping[str, str]) -> dict[str, str]:
    """An environment for a process of ours that has exactly these settings."""
    kept = ("PATH", "HOME", "LANG", "TMPDIR")
    return {name: os.environ[name] for name in kept if name in os.environ} | dict(settings)


def load(environment: Mapping[str, str] | None = None) -> Configuration:
    """Read and check all settings; raises ConfigurationError that lists every problem and what to do.

    An integration is in use when one of its variables is set. Empty values count as not set.
    """
    file = read_file() if environment is None else {}
    given = _given({**file, **os.environ} if environment is None else environment)
    problems: list[Problem] = []
    settings = _read(Settings, given, problems)
    used: dict[str, tuple[IntegrationSpec, IntegrationSettings]] = {}
    for name, spec in integrations().items():
        if not any(variable in given for variable in spec.environment_names()):
            continue
        parsed = _read(spec.settings, given, problems)
        if parsed is not None:
            used[name] = (spec, parsed)
    wrong, doubts = _unknown(given, frozenset(file))
    problems.extend(wrong)
    if problems or settings is None:
        raise ConfigurationError(*problems)
    return Configuration(settings, used, tuple(doubts))


def load_client(environment: Mapping[str, str] | None = None) -> ClientSettings:
    """Read where the server is and the key; raises ConfigurationError. Other settings are not looked at.

    Without CALLWRIGHT_URL it is OUR_BASE_URL, and without that the default address of `callwright serve`.
    """
    given = _given(read_environment() if environment is None else environment)
    problems: list[Problem] = []
    client = _read(ClientSettings, given, problems)
    problems.extend(item for item in _unknown(given, frozenset())[0] if item.where.startswith(_OURS))
    if client is None or problems:
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
            remedy = descriptions.get(name) or ""
            if item["type"] == "missing":
                problems.append(Problem(name, "is not set.", remedy))
            else:
                problems.extend(problems_of(item, name, remedy))
        return None


def _given(source: Mapping[str, str]) -> dict[str, str]:
    return {key: value.strip() for key, value in source.items() if value.strip()}


def _unknown(given: Mapping[str, str], file: frozenset[str]) -> tuple[list[Problem], list[Problem]]:
    """Names that are not settings: those that are surely meant for us, and those that may be.

    Sure: our prefix or a vendor's, and names of the .env file that are nearly a setting's. The environment is full of
    other programs' names, so there such a name is a doubt; so is any other name in the .env file.
    """
    known = declared_variables()
    prefixes = tuple(f"{name.upper()}_" for name in integrations())
    wrong, doubts = [], []
    for name in sorted(set(given) - set(known)):
        is_ours = name.startswith((_OURS, *prefixes))
        alike = difflib.get_close_matches(name.upper(), known, 1, _ALIKE)
        remedy = f"Did you mean {alike[0]}?" if alike else "Remove it, or check its spelling."
        problem = Problem(name, "is not a setting.", remedy)
        if is_ours or (name in file and _is_slip(name, given, known)):
            wrong.append(problem)
        elif name in file or _is_slip(name, given, known):
            doubts.append(problem)
    return wrong, doubts


def _is_slip(name: str, given: Mapping[str, str], known: Iterable[str]) -> bool:
    """Whether a name is nearly that of a setting, which is not set itself."""
    candidates = [other for other in known if len(other) >= _LONG_ENOUGH or other == name.upper()]
    close = difflib.get_close_matches(name.upper(), candidates, 1, _SURELY_MEANT)
    return bool(close) and close[0] not in given


def _address(value: str, schemes: tuple[str, ...]) -> str:
    """An address without a slash at its end, or nothing; raises ValueError that shows a good one."""
    if not value:
        return ""
    example = f"write it as {schemes[0]}://calls.example.com"
    scheme, mark, rest = value.partition("://")
    if not mark:
        raise ValueError(f"{value!r} does not begin with {schemes[0]}://; {example}")
    if scheme.lower() not in schemes:
        raise ValueError(
            f"{value!r} begins with none of {', '.join(f'{item}://' for item in schemes)}; {example}"
        )
    wrong = ValueError(f"{value!r} is not the address of a server; {example}")
    try:
        parts = urlsplit(f"{scheme.lower()}://{rest}")
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise wrong from error
    if not _HOST.match(host) or port == 0 or parts.username is not None or parts.query or parts.fragment:
        raise wrong
    return parts.geturl().rstrip("/")
