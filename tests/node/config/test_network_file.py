"""Network files: the good ones round-trip, the bad ones are refused by a name that helps."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerstream.identity.address import Address
from peerstream.identity.network import NetworkMode, chain_network_id, static_network_id
from peerstream.node.config import (
    NetworkFileError,
    committed_constants,
    load_network,
    parse_network,
)
from peerstream.node.config.errors import (
    MissingSettingError,
    NetworkFileMalformedError,
    NetworkFileMissingError,
    NetworkNotDeployedError,
    SettingRangeError,
    UnknownSettingError,
)
from peerstream.node.config.files import FILE_MAX

REGISTRY = "0x" + "12" * 20
TRUST = {
    "chain": {
        "mode": "chain",
        "chain_id": 31_337,
        "genesis_hash": "0x" + "ab" * 32,
        "contracts": {"relay_registry": str(Address(bytes([0x12]) * 20))},
        "trusted_root": {"epoch": 7, "root": "0x" + "cd" * 32},
    },
    "static": {"mode": "static", "signer": "ef" * 32},
    "dht": {"mode": "dht", "admission_keys": ["01" * 32, "02" * 32]},
}
START = {
    "rpc": [{"url": "http://127.0.0.1:8545/key", "own_node": True}],
    "bootstrap": [{"relay_id": "aa" * 32, "endpoints": ["/ip4/127.1.0.1/tcp/4001"]}],
}


def network(mode: str = "chain") -> dict:
    return {
        "schema": "psp.network/1",
        "constants": committed_constants("devnet").constants_json(),
        "trust": json.loads(json.dumps(TRUST[mode])),
        "start": json.loads(json.dumps(START)),
    }


def parse(value: object):
    return parse_network(json.dumps(value).encode())


@pytest.mark.parametrize("mode", TRUST)
def test_a_network_file_is_what_it_prints(mode):
    parameters = parse(network(mode))
    assert parameters.to_json() == network(mode)
    assert parse(parameters.to_json()) == parameters


def test_the_first_block_is_no_constant():
    value = network()
    value["trust"]["first_block"] = 17
    parameters = parse(value)
    assert parameters.first_block == 17
    assert parameters.to_json() == value
    assert parse(network()).first_block == 0
    assert parameters.parameters_hash == parse(network()).parameters_hash
    assert parameters.network_id == parse(network()).network_id


@pytest.mark.parametrize("block", [-1, 2**63, True, "17", 1.0, None])
def test_a_first_block_is_a_number(block):
    value = network()
    value["trust"]["first_block"] = block
    with pytest.raises(NetworkFileError):
        parse(value)


def test_the_committed_sets():
    main, devnet = committed_constants("main"), committed_constants("devnet")
    assert (main.epoch_s, main.period_s, main.subnet_rule, main.cap_rule) == (
        21_600,
        86_400,
        True,
        True,
    )
    assert not main.private_addresses
    assert (devnet.epoch_s, devnet.period_s) == (600, 4 * 600)
    assert (devnet.cap_rule, devnet.minimum_guard_age) == (False, 0)
    assert main.parameters_hash != devnet.parameters_hash
    with pytest.raises(NetworkFileMissingError):
        committed_constants("test")


def test_every_constant_is_in_the_hash():
    base = committed_constants("main")
    changed = {
        "name": "other", "epoch_s": 43_200, "period_s": 172_800, "cell_classes": (0, 2),
        "credits": (2, 2, 2, 2), "levels": (2,), "subnet_rule": False, "family_rule": False,
        "cap_rule": False, "private_addresses": True, "minimum_guard_age": 1, "guards": 1,
        "live_guards": 1, "vanguards": 1, "guard_life_s": (60, 60), "vanguard_life_s": (60, 60),
        "replicas": 1, "stores": 5, "fetch": 1, "updates_per_hour": 1, "descriptor_life_s": 600,
        "handshake_key_life_s": 600, "handshake_key_overlap_s": 0, "address_life_s": 600,
        "bucket_s": 601,
    }  # fmt: skip
    assert changed.keys() == base.constants_json().keys()
    hashes = {replace(base, **{name: value}).parameters_hash for name, value in changed.items()}
    assert len(hashes | {base.parameters_hash}) == len(changed) + 1


def test_the_hash_is_the_same_in_every_mode():
    hashes = {parse(network(mode)).parameters_hash for mode in TRUST}
    assert hashes == {committed_constants("devnet").parameters_hash}


def test_the_network_id_is_what_roots_it():
    chain = parse(network("chain"))
    registry = Address(bytes([0x12]) * 20)
    assert chain.network_id == chain_network_id(31_337, registry, bytes([0xAB]) * 32)
    assert chain.mode is NetworkMode.CHAIN
    assert parse(network("static")).network_id == static_network_id(bytes([0xEF]) * 32)
    ids = {parse(network(mode)).network_id for mode in TRUST}
    assert len(ids) == 3


def test_constants_without_trust_are_no_network(tmp_path):
    value = network()
    del value["trust"]
    with pytest.raises(NetworkNotDeployedError, match="devnet"):
        parse(value)


def test_a_file_is_read_and_its_absence_named(tmp_path):
    path = tmp_path / "network.json"
    with pytest.raises(NetworkFileMissingError):
        load_network(path)
    with pytest.raises(NetworkFileMissingError):
        load_network(tmp_path)
    path.write_text(json.dumps(network()))
    assert load_network(path) == parse(network())
    path.write_bytes(b" " * (FILE_MAX + 1))
    with pytest.raises(NetworkFileMalformedError):
        load_network(path)


def test_an_rpc_url_is_never_printed():
    parameters = parse(network())
    assert "8545" not in repr(parameters)
    bad = network()
    bad["start"]["rpc"][0]["url"] = "secret-key@nowhere"
    with pytest.raises(SettingRangeError) as caught:
        parse(bad)
    assert "secret" not in str(caught.value)


def test_a_misspelt_setting_gets_a_hint():
    value = network()
    value["constants"]["epohc_s"] = value["constants"].pop("epoch_s")
    with pytest.raises(UnknownSettingError, match="did you mean epoch_s"):
        parse(value)


def test_a_missing_setting_is_named():
    value = network()
    del value["constants"]["guards"]
    with pytest.raises(MissingSettingError, match="guards"):
        parse(value)


@pytest.mark.parametrize(
    ("path", "bad"),
    [
        ("constants.epoch_s", 0),
        ("constants.epoch_s", "600"),
        ("constants.epoch_s", True),
        ("constants.epoch_s", 700),
        ("constants.name", "a b"),
        ("constants.name", ""),
        ("constants.name", "x" * 33),
        ("constants.cap_rule", 1),
        ("constants.cell_classes", [2, 1]),
        ("constants.cell_classes", [4]),
        ("constants.levels", []),
        ("constants.guard_life_s", [9_000, 60]),
        ("constants.fetch", 5),
        ("constants", []),
        ("trust.mode", "tor"),
        ("trust.chain_id", 0),
        ("trust.chain_id", 2**64),
        ("trust.genesis_hash", "0xab"),
        ("trust.genesis_hash", "zz" * 32),
        ("trust.genesis_hash", " " + "ab" * 31 + " "),
        ("trust.contracts.relay_registry", "0x12"),
        ("trust.contracts.relay_registry", 5),
        ("trust.trusted_root", "cd"),
        ("trust", None),
        ("start.rpc", {}),
        ("start.rpc", [{"url": "ftp://x", "own_node": True}]),
        ("start.rpc", [{"url": "http://", "own_node": True}]),
        ("start.rpc", [{"url": "http://x:99999", "own_node": True}]),
        ("start.rpc", [{"url": "http://x", "own_node": "yes"}]),
        ("start.bootstrap", [{"relay_id": "aa", "endpoints": ["/ip4/127.1.0.1/tcp/4001"]}]),
        ("start.bootstrap", [{"relay_id": "aa" * 32, "endpoints": []}]),
        ("start.bootstrap", [{"relay_id": "aa" * 32, "endpoints": ["/ip4/0.0.0.0/tcp/1"]}]),
    ],
)
def test_a_value_out_of_bounds_is_refused(path, bad):
    value = network()
    *parents, last = path.split(".")
    inner = value
    for name in parents:
        inner = inner[name]
    inner[last] = bad
    with pytest.raises(SettingRangeError):
        parse(value)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"[" * 100_000,
        b"1" * 10_000,
        b'{"schema": 1.5}',
        b'{"schema": NaN}',
        b'{"schema": "a", "schema": "b"}',
        b'{"schema": "psp.network/2", "constants": {}}',
    ],
)
def test_what_is_no_network_file_is_refused(data):
    with pytest.raises(NetworkFileMalformedError):
        parse_network(data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)


@given(JSON, st.sampled_from(["schema", "constants", "trust", "start"]))
def test_garbage_is_refused_by_name(value, part):
    whole = network()
    whole[part] = value
    try:
        parse(whole)
    except NetworkFileError:
        return
    assert (part, value) == ("start", {})
