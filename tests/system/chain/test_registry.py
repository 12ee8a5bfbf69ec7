"""`psp registry` as a user runs it: the whole life of a relay and of an identity, on a devnet."""

import json
import signal
import subprocess
import sys
from functools import partial

import pytest
import trio

from peerstream.node.chain.devnet import Devnet, dev_accounts
from peerstream.node.chain.networks import deployed_network
from peerstream.node.chain.rpc import RpcClient
from peerstream.node.config import RpcEndpoint
from peerstream.node.lab.places import free_endpoint, relay_address
from tests.node.chain.chains import CONSTANTS, EPOCH_S
from tests.node.cli.shapes import require_failure, require_shape

PSP = [sys.executable, "-m", "peerstream.node.cli"]
LIMIT_S = 150
ETHER = 10**18
OPERATOR, OTHER, PAYER = 1, 2, 3
UNBONDING_S = 60  # of a devnet


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Keep what the commands write in a directory of these tests."""
    path = tmp_path_factory.mktemp("registry")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(path / "state"))
        patch.chdir(path)
        for name in ("PSP_NETWORK", "PSP_STATE", "PSP_RELAY_FILE"):
            patch.delenv(name, raising=False)
        for number in (OPERATOR, OTHER, PAYER):
            file = path / f"wallet-{number}"
            file.touch(0o600)
            file.write_text(dev_accounts()[number].secret.hex())
        yield path


def run(*tokens, code=0):
    """Run `psp` with --json; return its object."""
    command = [*PSP, *map(str, tokens), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT_S)
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def devnet(home):
    """Start a devnet without relays of its own, as a user does; its description."""
    found = run("devnet", "up", "--relays", 0)
    try:
        yield found
    finally:
        run("devnet", "down")


class User:
    """Somebody with a network file and wallets."""

    def __init__(self, network):
        self.network = network

    def change(self, *tokens, by=OPERATOR, code=0):
        wallet = () if by is None else ("--wallet-key", f"wallet-{by}")
        found = run("registry", *tokens, "--network", self.network, *wallet, "--yes", code=code)
        if not code:
            require_shape(found, 0)
        return found

    def show(self, *tokens):
        found = run("registry", "show", *tokens, "--network", self.network)
        require_shape(found, 1)
        return found

    def relay(self, relay_id):
        """Return what the registry says of a relay, None when nothing."""
        return next((r for r in self.show()["relays"] if r["relay_id"] == relay_id), None)

    def identity(self, number):
        account = str(dev_accounts()[number].address)
        (found,) = self.show("--account", account)["identities"]
        return found


@pytest.fixture
def user(devnet):
    return User(devnet["network_file"])


class RunningRelay:
    """`psp relay run`, until the end of the block."""

    def __init__(self, network, state, number):
        listen = str(free_endpoint(relay_address(number)))
        options = ("--network", network, "--state", state, "--listen", listen, "--json")
        self.process = subprocess.Popen(
            [*PSP, "relay", "run", *options], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )

    def __enter__(self):
        return json.loads(self.process.stdout.readline())

    def __exit__(self, *_exception):
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(LIMIT_S) == 130
        self.process.stdout.close()


async def pass_time(url, seconds):
    """Set a devnet's time forward, and mine a block then."""
    async with RpcClient(url, own_node=True) as rpc:
        await rpc.call("evm_increaseTime", seconds)
        await rpc.call("evm_mine")


async def balance(url, number):
    async with RpcClient(url, own_node=True) as rpc:
        account = str(dev_accounts()[number].address)
        return int(await rpc.call("eth_getBalance", account, "latest"), 16)


def test_an_identity_is_listed_rotated_and_revoked(user, home):
    for state, number in (("first", OTHER), ("second", OTHER)):
        options = ("--listed", "--network", user.network, "--wallet-key", f"wallet-{number}")
        run("id", "new", *options, "--state", state)
    keys = [run("id", "show", "--state", state)["identity_key"] for state in ("first", "second")]
    device = run("id", "show", "--state", "second")["device_key"]

    planned = user.change("identity", "set", "--state", "first", "--dry-run", by=OTHER)
    assert planned["state"] == "planned"
    assert 0 < int(planned["cost_wei"]) < ETHER // 100
    assert user.identity(OTHER)["identity_key"] is None

    user.change("identity", "set", "--state", "first", by=OTHER)
    assert user.identity(OTHER)["identity_key"] == keys[0]
    user.change("identity", "rotate", "--state", "second", by=OTHER)
    assert user.identity(OTHER)["identity_key"] == keys[1]
    user.change("revoke", "--device", device, by=OTHER)
    assert user.identity(OTHER)["revoked_devices"] == [device]

    # Somebody else posts and pays.
    user.change("revoke", "--sign-only", "revocation", by=OTHER)
    posted = user.change("submit", "revocation", by=PAYER)
    assert posted["sender"] == str(dev_accounts()[PAYER].address)
    found = user.identity(OTHER)
    assert found["identity_key"] is None
    assert found["revoked_before"] > 0
    user.change("identity", "clear", by=OTHER, code=3)


def test_a_relay_in_force_serves_until_the_endpoint_is_gone(home):
    """A relay that is registered in a devnet's past counts in its present."""
    found = trio.run(partial(Devnet.start, backend="embedded", past=True))
    try:
        endpoint = RpcEndpoint(found.rpc_url, own_node=True)
        network = home / "past.json"
        parameters = deployed_network(found.deployment, CONSTANTS, [endpoint])
        network.write_text(json.dumps(parameters.to_json()))
        user = User(network)
        relay_id = run("relay", "init", "--state", "past")["relay_id"]
        user.change("relay", "register", "--state", "past")
        trio.run(found.catch_up)
        assert user.relay(relay_id)["counts"]
        with RunningRelay(network, "past", 71) as ready:
            assert ready["relay_id"] == relay_id
    finally:
        trio.run(found.stop)
    gone = user.change("revoke", code=5)
    require_failure(gone, "psp.registry/1", "EndpointClosedError")


def test_the_life_of_a_relay(user, devnet, home):
    url = devnet["rpc_url"]
    before = trio.run(balance, url, OPERATOR)
    operator = str(dev_accounts()[OPERATOR].address)
    options = ("--state", "relay", "--network", user.network, "--operator", operator)
    made = run("relay", "init", *options)
    relay_id = made["relay_id"]
    (home / "relay.json").write_text(json.dumps(made))

    user.change("relay", "register", "--init-file", "relay.json", "--stake", "1.5")
    found = user.relay(relay_id)
    assert (found["operator"], found["stake_wei"]) == (operator, str(ETHER * 3 // 2))
    assert found["sign_key"] == made["sign_key"]

    with RunningRelay(user.network, "relay", 72) as ready:
        assert ready["relay_id"] == relay_id
        # Its state directory is its own while it runs.
        which = ("--relay-id", relay_id)
        user.change("relay", "renew", *which, "--add-stake", "0.5")
        assert user.relay(relay_id)["stake_wei"] == str(2 * ETHER)
        user.change("relay", "exit", *which)
        assert user.relay(relay_id) is None

    early = user.change("relay", "withdraw", *which, code=1)
    require_failure(early, "psp.registry/1", "StakeLockedError")
    trio.run(pass_time, url, 2 * EPOCH_S + UNBONDING_S)
    stranger = user.change("relay", "withdraw", *which, by=PAYER, code=4)
    require_failure(stranger, "psp.registry/1", "WrongKeyError")
    user.change("relay", "withdraw", *which)
    assert 0 < before - trio.run(balance, url, OPERATOR) < ETHER // 100
