"""Reading network files: bounded, every setting checked, every refusal named (SPEC 7.3)."""

from importlib import resources
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from peerstream.identity.address import Address
from peerstream.identity.errors import AddressError
from peerstream.identity.network import NetworkMode
from peerstream.node.config.constants import NetworkConstants
from peerstream.node.config.errors import (
    NetworkFileMalformedError,
    NetworkFileMissingError,
    NetworkNotDeployedError,
    SettingRangeError,
)
from peerstream.node.config.parameters import (
    RELAY_REGISTRY,
    SCHEMA,
    Bootstrap,
    NetworkParameters,
    RpcEndpoint,
    TrustedRoot,
)
from peerstream.node.config.tables import items, number, octets, parse_json, table
from peerstream.node.protocol.directory.errors import MalformedDocumentError
from peerstream.node.protocol.directory.subnets import Endpoint

FILE_MAX: Final = 1_048_576
COMMITTED: Final = ("main", "devnet")
_CONTRACTS: Final = ("identity_registry", "rendezvous_board")
_BOOTSTRAP_MAX: Final = 256
_ENDPOINTS_MAX: Final = 4
_RPC_MAX: Final = 16
_KEYS_MAX: Final = 16
_URL_MAX: Final = 512
_U63: Final = 2**63 - 1


def committed_constants(name: str) -> NetworkConstants:
    """Return the constants that come with the package: "main" or "devnet"."""
    if name not in COMMITTED:
        raise NetworkFileMissingError(f"{name!r} is none of {', '.join(COMMITTED)}")
    path = resources.files("peerstream.node") / "networks" / f"{name}.json"
    return NetworkConstants.from_json(_parts(path.read_bytes())["constants"])


def load_network(path: Path) -> NetworkParameters:
    """Read a network file. Raises NetworkFileError, as a subclass that says what to fix."""
    try:
        with path.open("rb") as file:
            data = file.read(FILE_MAX + 1)
    except OSError as error:
        raise NetworkFileMissingError(f"{path}: {error.strerror}") from error
    return parse_network(data)


def parse_network(data: bytes) -> NetworkParameters:
    """Read the bytes of a network file. Raises NetworkFileError, as a subclass."""
    parts = _parts(data)
    constants = NetworkConstants.from_json(parts["constants"])
    if "trust" not in parts:
        raise NetworkNotDeployedError(f"network {constants.name!r} has constants but no trust")
    trust = _read_trust(parts["trust"])
    start = _read_start(parts.get("start", {}), private=constants.private_addresses)
    values = {name: getattr(constants, name) for name in constants.constants_json()}
    return NetworkParameters(**values, **trust, **start)


def _parts(data: bytes) -> dict[str, Any]:
    if len(data) > FILE_MAX:
        raise NetworkFileMalformedError(f"a network file has up to {FILE_MAX} bytes")
    parts = table(
        "the file",
        parse_json(data),
        required=("schema", "constants"),
        optional=("trust", "start"),
    )
    if parts["schema"] != SCHEMA:
        raise NetworkFileMalformedError(f"the schema is not {SCHEMA}")
    return parts


def _read_trust(value: object) -> dict[str, Any]:
    mode = value.get("mode") if isinstance(value, dict) else None
    if mode == "chain":
        return _read_chain(value)
    if mode == "static":
        trust = table("trust", value, required=("mode", "signer"))
        signer = octets("trust.signer", trust["signer"], 32)
        return {"mode": NetworkMode.STATIC, "static_signer": signer}
    if mode == "dht":
        trust = table("trust", value, required=("mode", "admission_keys"))
        keys = items("trust.admission_keys", trust["admission_keys"], _KEYS_MAX)
        if not keys:
            raise SettingRangeError("trust.admission_keys has at least one key")
        found = tuple(octets("trust.admission_keys", key, 32) for key in keys)
        return {"mode": NetworkMode.DHT, "admission_keys": found}
    raise SettingRangeError("trust.mode is chain, static or dht")


def _read_chain(value: object) -> dict[str, Any]:
    trust = table(
        "trust",
        value,
        required=("mode", "chain_id", "genesis_hash", "contracts"),
        optional=("trusted_root", "first_block"),
    )
    contracts = table(
        "trust.contracts", trust["contracts"], required=(RELAY_REGISTRY,), optional=_CONTRACTS
    )
    return {
        "mode": NetworkMode.CHAIN,
        "chain_id": number("trust.chain_id", trust["chain_id"], _U63, minimum=1),
        "genesis_hash": octets("trust.genesis_hash", trust["genesis_hash"], 32),
        "contracts": {name: _address(name, text) for name, text in contracts.items()},
        "trusted_root": _read_root(trust["trusted_root"]) if "trusted_root" in trust else None,
        "first_block": number("trust.first_block", trust.get("first_block", 0), _U63),
    }


def _address(name: str, value: object) -> Address:
    try:
        return Address.parse(value if isinstance(value, str) else "")
    except AddressError as error:
        raise SettingRangeError(f"trust.contracts.{name}: {error}") from error


def _read_root(value: object) -> TrustedRoot:
    root = table("trust.trusted_root", value, required=("epoch", "root"))
    return TrustedRoot(
        number("trust.trusted_root.epoch", root["epoch"], _U63),
        octets("trust.trusted_root.root", root["root"], 32),
    )


def _read_start(value: object, *, private: bool) -> dict[str, Any]:
    start = table("start", value, required=(), optional=("rpc", "bootstrap"))
    rpc = items("start.rpc", start.get("rpc", []), _RPC_MAX)
    relays = items("start.bootstrap", start.get("bootstrap", []), _BOOTSTRAP_MAX)
    return {
        "rpc": tuple(_read_rpc(item) for item in rpc),
        "bootstrap": tuple(_read_bootstrap(item, private=private) for item in relays),
    }


def _read_rpc(value: object) -> RpcEndpoint:
    endpoint = table("start.rpc", value, required=("url", "own_node"))
    url, own_node = endpoint["url"], endpoint["own_node"]
    if not isinstance(own_node, bool):
        raise SettingRangeError("start.rpc.own_node is true or false")
    if not isinstance(url, str) or len(url) > _URL_MAX or not _is_http(url):
        # The URL may hold a key, so it is not repeated.
        raise SettingRangeError("start.rpc.url is an http:// or https:// URL")
    return RpcEndpoint(url, own_node)


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _read_bootstrap(value: object, *, private: bool) -> Bootstrap:
    relay = table("start.bootstrap", value, required=("relay_id", "endpoints"))
    texts = items("start.bootstrap.endpoints", relay["endpoints"], _ENDPOINTS_MAX)
    if not texts:
        raise SettingRangeError("start.bootstrap.endpoints has at least one multiaddr")
    try:
        endpoints = tuple(Endpoint.parse(t if isinstance(t, str) else "") for t in texts)
        for endpoint in endpoints:
            endpoint.require_routable(private=private)
    except MalformedDocumentError as error:
        raise SettingRangeError(f"start.bootstrap.endpoints: {error}") from error
    return Bootstrap(octets("start.bootstrap.relay_id", relay["relay_id"], 32), endpoints)
