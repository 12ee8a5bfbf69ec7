"""`psp relay init`: keys in a private directory, and a proof that registries accept."""

from peerstream.identity import Address
from peerstream.node.config import load_network
from peerstream.node.protocol.directory.document import verify_ed25519
from peerstream.node.protocol.directory.relay_set import possession_message
from tests.node.cli.conftest import ACCOUNT
from tests.node.cli.shapes import require_failure, require_shape


def test_a_relay_gets_keys_and_proves_that_it_has_them(psp_process, network, tmp_path):
    state = tmp_path / "relay"
    options = ("--state", state, "--json", "--network", network)
    done = psp_process("relay", "init", *options, "--operator", ACCOUNT)
    assert done.code == 0, done.err
    require_shape(done.json)
    assert done.json["peer_id"].startswith("12D3KooW")
    relay_id = bytes.fromhex(done.json["relay_id"][2:])
    operator = Address.parse(ACCOUNT).raw
    message = possession_message(load_network(network).network_id, operator, relay_id)
    verify_ed25519(relay_id, message, bytes.fromhex(done.json["possession"][2:]))
    assert all(path.stat().st_mode & 0o077 == 0 for path in state.rglob("*"))
    again = psp_process("relay", "init", *options)
    assert again.code == 1
    require_failure(again.json, "psp.relay/1", "ForeignStateError")


def test_a_proof_needs_a_network(psp_process, tmp_path):
    done = psp_process("relay", "init", "--state", tmp_path / "s", "--operator", ACCOUNT)
    assert done.code == 2
    assert "NetworkNotNamedError" in done.err
    assert not (tmp_path / "s").exists()


def test_only_a_relay_that_was_made_can_run(psp, network, tmp_path):
    listen = ("--listen", "/ip4/127.0.0.1/tcp/9", "--network", network)
    done = psp("relay", "run", *listen, "--state", tmp_path / "s", "--json")
    assert done.code == 3
    require_failure(done.json, "psp.relay/1", "NoRelayError")
    assert not (tmp_path / "s").exists()
