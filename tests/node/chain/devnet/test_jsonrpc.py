import json

import pytest

from peerstream.identity.keys import keccak256
from peerstream.node.chain.devnet import jsonrpc
from tests.node.chain.chains import ACCOUNTS

ALICE, BOB = str(ACCOUNTS[1].address), str(ACCOUNTS[2].address)


def answered(methods, body):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return json.loads(jsonrpc.answer(raw, methods))


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", -32700),
        (b"\xff", -32700),
        (b"[" * 300_000, -32700),
        ([], -32600),
        (17, -32600),
        ("eth_chainId", -32600),
        ({"id": 1}, -32600),
        ({"id": 1, "method": 7}, -32600),
        ({"id": 1, "method": "eth_chainId", "params": {}}, -32600),
        ({"id": [], "method": "eth_chainId"}, -32600),
        ({"id": 1.5, "method": "eth_chainId"}, -32600),
        ([{"id": 1, "method": "eth_chainId"}] * 1_001, -32600),
        ({"id": 1, "method": "eth_nothing"}, -32601),
        ({"id": 1, "method": "eth_getBalance", "params": [1]}, -32602),
        ({"id": 1, "method": "eth_getBalance", "params": [BOB, "0xffff"]}, -32000),
    ],
)
def test_json_rpc_errors(chain, body, code):
    assert answered(chain.methods, body)["error"]["code"] == code


def test_a_batch_is_answered_one_by_one(chain):
    found = answered(chain.methods, [{"id": 7, "method": "eth_chainId"}, 17])
    assert found[0] == {"jsonrpc": "2.0", "id": 7, "result": "0x7a69"}
    assert found[1]["error"]["code"] == -32600


def test_a_revert_brings_its_reason(chain):
    data = "0x" + keccak256(b"withdrawReward()")[:4].hex()
    request = {"to": str(chain.deployment.relay_registry), "data": data, "from": ALICE}
    error = answered(chain.methods, {"id": 1, "method": "eth_call", "params": [request]})["error"]
    assert error["code"] == 3
    assert error["data"].startswith("0x" + keccak256(b"RelayRegistryNoReward(address)")[:4].hex())


class Broken:
    def call(self, _method, _params):
        raise ZeroDivisionError("inside")


def test_what_nobody_expected_ends_one_request_only(capsys):
    found = answered(Broken(), [{"id": 1, "method": "eth_chainId"}])
    assert found[0]["error"] == {"code": -32603, "message": "ZeroDivisionError"}
    assert "inside" in capsys.readouterr().err
