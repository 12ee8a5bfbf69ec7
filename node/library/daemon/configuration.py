"""What a daemon runs on: flags over environment over file over defaults (SPEC 17.2)."""

import ipaddress
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, get_args

import platformdirs
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
)
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from peerstream.node.gateway.service_spec import ServiceSpec, services_of
from peerstream.node.http.schemas import Service
from peerstream.node.library.daemon.errors import (
    ConfigurationFileError,
    NotLoopbackError,
    SettingError,
    UnknownSettingError,
)

FILE_MAX: Final = 65_536
OFF: Final = "off"
PATHS: Final = ("network", "state", "relay_file", "key_file", "access_log")
_PORT_MAX: Final = 65_535
_PLACE: Final = re.compile(r"(?:\[(?P<v6>[0-9a-fA-F:]+)\]|(?P<v4>[0-9.]+)):(?P<port>[0-9]{1,5})")


def check_place(text: str) -> str:
    """Return where to listen, ``off`` or loopback and port. Raises NotLoopbackError, ValueError."""
    if text == OFF:
        return text
    found = _PLACE.fullmatch(text)
    if found is None or int(found["port"]) > _PORT_MAX:
        raise ValueError("127.0.0.1:PORT, [::1]:PORT or off")
    if not ipaddress.ip_address(found["v4"] or found["v6"]).is_loopback:
        raise NotLoopbackError(text)
    return text


Place = Annotated[str, AfterValidator(check_place)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LogConfiguration(_Section):
    """What is logged, and how it is written."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "console"] = "auto"


class ApiConfiguration(_Section):
    """How local programs talk to the daemon."""

    socket: bool = True
    tcp: Place = OFF
    streams: bool = True


class GatewayConfiguration(_Section):
    """How unmodified programs reach into the network."""

    socks: Place = "127.0.0.1:9450"
    extended_errors: bool = False
    http: Place = "127.0.0.1:8181"


class Configuration(BaseSettings):
    """The configuration of a daemon; `load` makes it. Paths are absolute."""

    model_config = SettingsConfigDict(
        env_prefix="PSP_", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    network: Path | None = None
    state: Path | None = None
    relay_file: Path | None = None
    source_address: str | None = None
    key_file: Path | None = None
    level: Literal["anonymous", "private"] = "anonymous"
    padding: Literal["off", "link", "constant"] = "link"
    padding_cells: Literal[8, 64, 256] = 64
    log: LogConfiguration = Field(default_factory=LogConfiguration)
    api: ApiConfiguration = Field(default_factory=ApiConfiguration)
    gateway: GatewayConfiguration = Field(default_factory=GatewayConfiguration)
    access_log: Path | None = None
    service: tuple[Service, ...] = ()

    def specs(self) -> list[ServiceSpec]:
        """Return what is to be exposed. Raises BadServiceError, ServiceConflictError."""
        return services_of(each.model_dump() for each in self.service)

    @field_validator("source_address")
    @classmethod
    def _is_an_address(cls, value: str | None) -> str | None:
        return None if value is None else str(ipaddress.ip_address(value))

    @field_validator(*PATHS)
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return None if value is None else value.expanduser().absolute()

    @classmethod
    def load(cls, file: Path | None = None, flags: Mapping[str, Any] | None = None) -> Self:
        """Read the file, lay environment and flags over it, and check all.

        file: None for PSP_CONFIG or the user's own, if it is there. flags: nested as the file is.
        Raises ConfigurationFileError, UnknownSettingError, SettingError, NotLoopbackError.
        """
        path = file or _default_file()
        found = {} if path is None else _resolved(_read(path), path.absolute().parent)

        class Layers(cls):  # type: ignore[valid-type, misc]  # the library asks classes for sources
            @classmethod
            def settings_customise_sources(
                cls,
                settings_cls: type[BaseSettings],
                init_settings: PydanticBaseSettingsSource,
                env_settings: PydanticBaseSettingsSource,
                **_: PydanticBaseSettingsSource,
            ) -> tuple[PydanticBaseSettingsSource, ...]:
                below = InitSettingsSource(settings_cls, init_kwargs=found)
                return init_settings, env_settings, below

        try:
            layers = Layers(**(flags or {}))
        except ValidationError as error:
            raise _named(error, cls) from None
        except SettingsError as error:
            raise SettingError(f"the environment: {error}") from None
        return cls.model_construct(**dict(layers))


def _default_file() -> Path | None:
    """Return the file of PSP_CONFIG, else the user's own, else None."""
    named = os.environ.get("PSP_CONFIG")
    if named:
        return Path(named)
    path = Path(platformdirs.user_config_dir("peerstream")) / "psp.toml"
    return path if path.exists() else None


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            data = file.read(FILE_MAX + 1)
        if len(data) > FILE_MAX:
            raise ConfigurationFileError(f"{path} is larger than {FILE_MAX} bytes")
        return tomllib.loads(data.decode())
    except OSError as error:
        raise ConfigurationFileError(f"{path}: {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigurationFileError(f"{path}: {error}") from error


def _resolved(found: dict[str, Any], directory: Path) -> dict[str, Any]:
    """Let the paths of a file count from its directory."""
    paths = {name: found[name] for name in PATHS if isinstance(found.get(name), str)}
    return found | {name: directory / Path(path).expanduser() for name, path in paths.items()}


def _named(error: ValidationError, model: type[BaseModel]) -> Exception:
    """Return the first fault as an error of ours; values stay out, they may be secrets."""
    fault = error.errors(include_input=False, include_url=False)[0]
    place = ".".join(map(str, fault["loc"]))
    if fault["type"] != "extra_forbidden":
        return SettingError(f"{place}: {fault['msg'].removeprefix('Value error, ')}")
    *outer, name = fault["loc"]
    near = get_close_matches(str(name), _names(model, outer), n=1)
    hint = f"; did you mean {'.'.join([*map(str, outer), near[0]])}?" if near else ""
    return UnknownSettingError(f"there is no setting {place}{hint}")


def _names(model: type[BaseModel], place: Sequence[int | str]) -> list[str]:
    """Return the names of the settings in one section."""
    for part in place:
        if isinstance(part, str):
            inner = _models(model.model_fields[part].annotation)
            if not inner:
                return []
            model = inner[0]
    return list(model.model_fields)


def _models(annotation: Any) -> list[type[BaseModel]]:
    """Return the models in an annotation such as ``tuple[Model, ...]``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for each in get_args(annotation) for model in _models(each)]
