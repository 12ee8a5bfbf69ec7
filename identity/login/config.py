"""The one file that `psp login serve` reads (SPEC 21.7)."""

import os
import stat
import tomllib
from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import Field, HttpUrl, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from peerstream.identity.login.chain import RpcReader
from peerstream.identity.login.errors import LoginSettingsError
from peerstream.identity.login.settings import (
    NONCE_RATE,
    SECRET_SIZE,
    VERIFY_RATE,
    LoginSettings,
)
from peerstream.identity.web.limits import Rate

_FILE_MAXIMUM: Final = 65_536
_TEMPLATE: Final = """\
origins = ["{origin}"]
secret_file = "login.secret"
database = "{database}"
chains = {{ 1 = "" }} # 1 = "http://127.0.0.1:8545" asks your node about contract wallets
"""
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class LoginConfig(BaseSettings):
    """Everything that an operator says. Each name can also be an environment variable PSP_LOGIN_*.

    Paths are relative to the file. ``chains`` maps a chain id to the JSON-RPC address of a node
    that is asked about contract wallets, or to "" where only plain accounts may sign in.
    """

    model_config = SettingsConfigDict(env_prefix="PSP_LOGIN_", extra="forbid", frozen=True)

    origins: list[str]
    secret_file: Path
    database: SecretStr = SecretStr("sqlite:///login.db")
    # an address of an endpoint may hold a key
    chains: dict[int, HttpUrl | Literal[""]] = Field({1: ""}, repr=False)
    block: Literal["latest", "safe", "finalized"] = "latest"
    host: str = "127.0.0.1"
    port: int = Field(8480, ge=0, le=65_535)
    proxies: list[str] = Field(default_factory=list)
    migrate: bool = True
    issuer: str = ""
    audience: str = ""
    nonce_seconds: int = 900
    session_seconds: int = 3_600
    refresh_seconds: int = 30 * 86_400
    family_seconds: int = 90 * 86_400
    token_seconds: int = 900
    contract_check: int = 900
    nonces_per_minute: float = Field(NONCE_RATE.per_minute, gt=0)
    attempts_per_minute: float = Field(VERIFY_RATE.per_minute, gt=0)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a TOML file; raises LoginSettingsError, which names what is wrong."""
        try:
            with path.open("rb") as file:
                values = tomllib.loads(file.read(_FILE_MAXIMUM).decode())
        except (OSError, ValueError, RecursionError) as error:
            raise LoginSettingsError(f"{path} cannot be read as TOML: {error}") from error
        try:
            config = cls(**values)
        except ValidationError as error:
            places = sorted({".".join(map(str, item["loc"])) for item in error.errors()})
            raise LoginSettingsError(f"{path}: wrong or missing: {', '.join(places)}") from None
        return config.model_copy(update={"secret_file": path.parent / config.secret_file})

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment win over the file: passwords come that way."""
        del settings_cls, dotenv_settings, file_secret_settings
        return env_settings, init_settings

    def settings(self) -> LoginSettings:
        """Return what the service is told; raises LoginSettingsError or OriginListError."""
        chains = {
            number: RpcReader(str(url), block=self.block) if url else None
            for number, url in self.chains.items()
        }
        return LoginSettings(
            origins=self.origins,
            chains=chains,
            issuer=self.issuer,
            audience=self.audience,
            nonce_seconds=self.nonce_seconds,
            session_seconds=self.session_seconds,
            refresh_seconds=self.refresh_seconds,
            family_seconds=self.family_seconds,
            token_seconds=self.token_seconds,
            contract_check=self.contract_check,
            nonce_rate=_rate(self.nonces_per_minute),
            verify_rate=_rate(self.attempts_per_minute),
        )

    def secret(self) -> bytes:
        """Read the secret, 64 hexadecimal digits in a file of its owner's alone."""
        try:
            mode = self.secret_file.stat().st_mode
            text = self.secret_file.read_bytes()[: 4 * SECRET_SIZE].decode("ascii", "replace")
        except OSError as error:
            raise LoginSettingsError(f"the secret cannot be read: {self.secret_file}") from error
        if mode & _OTHERS:
            raise LoginSettingsError(f"chmod 600 {self.secret_file}: others can read it")
        return read_secret(text.strip())


def read_secret(text: str) -> bytes:
    """Return 32 bytes written as hexadecimal digits; raises LoginSettingsError."""
    try:
        secret = bytes.fromhex(text)
    except ValueError:
        secret = b""
    if len(secret) != SECRET_SIZE:
        raise LoginSettingsError("a secret is 64 hexadecimal digits")
    return secret


def write_new(directory: Path, origin: str, entropy: Any = os.urandom) -> Path:
    """Write a file and a new secret into a directory, which must not have them; return the file.

    Raises FileExistsError.
    """
    directory.mkdir(parents=True, exist_ok=True)
    secret, config = directory / "login.secret", directory / "login.toml"
    _create(secret, entropy(SECRET_SIZE).hex() + "\n")
    database = f"sqlite:///{directory.resolve() / 'login.db'}"
    _create(config, _TEMPLATE.format(origin=origin, database=database))
    return config


def _create(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def _rate(per_minute: float) -> Rate:
    return Rate(max(1, int(per_minute / 2)), per_minute)
