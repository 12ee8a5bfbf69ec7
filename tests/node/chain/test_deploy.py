import json
from dataclasses import replace

import pytest

from peerstream.identity.network import NetworkMode
from peerstream.node.chain.anchor import ChainAnchor, final_tag
from peerstream.node.chain.deploy import Deployment, RegistrySettings, deploy
from peerstream.node.chain.errors import (
    DeploymentFileError,
    MalformedAnswerError,
    NoFundsError,
    TransactionRevertedError,
    WrongChainError,
    WrongContractError,
)
from peerstream.node.chain.networks import deployed_network, read_deployment
from peerstream.node.config import RpcEndpoint, committed_constants, parse_network
from peerstream.node.config.errors import SettingRangeError
from tests.hostile.chain_endpoints import LyingEndpoint
from tests.node.chain.chains import ACCOUNTS, CONSTANTS, new_chain

SETTINGS = RegistrySettings.of_devnet(CONSTANTS)
OWN = RpcEndpoint("http://127.0.0.1:8545", own_node=True)


def code(chain, address) -> str:
    return chain.methods.call("eth_getCode", [str(address)])


def test_all_contracts_are_there(chain):
    addresses = chain.deployment.addresses
    assert set(addresses) == {"relay_registry", "identity_registry", "rendezvous_board"}
    assert all(len(code(chain, address)) > 1_000 for address in addresses.values())


async def test_contract_and_python_agree_on_the_network_id(chain, rpc):
    anchor = chain.anchor()
    await anchor.verify(rpc)
    assert anchor.network_id == chain.deployment.network_id


@pytest.mark.parametrize("name", ["epoch_s", "term_epochs", "unbonding_s", "minimum_stake"])
async def test_parameters_that_no_network_can_have(name):
    with pytest.raises(TransactionRevertedError, match="RelayRegistryBadParameter"):
        await deploy(new_chain().client(), ACCOUNTS[0].secret, replace(SETTINGS, **{name: 0}))


async def test_deploying_without_funds():
    with pytest.raises(NoFundsError):
        await deploy(new_chain().client(), b"\x77" * 32, SETTINGS)


async def test_a_receipt_without_the_contract():
    chain = new_chain()
    liar = LyingEndpoint(
        chain.handle, "eth_getTransactionReceipt", lambda _, r: r and r | {"contractAddress": None}
    )
    with pytest.raises(MalformedAnswerError, match="was created"):
        await deploy(chain.client(liar), ACCOUNTS[0].secret, SETTINGS)


def test_settings_of_a_public_network():
    main = committed_constants("main")
    settings = RegistrySettings.of_network(main)
    assert settings.parameters_hash == main.parameters_hash
    assert settings.term_epochs * settings.epoch_s == 15 * 86_400


# Records


def test_a_record_round_trips(chain):
    record = json.dumps(chain.deployment.to_json()).encode()
    assert Deployment.parse(record) == chain.deployment


FIELDS = ["schema", "chain_id", "genesis_hash", "network_id", "block", "addresses", "epoch_s"]
FIELDS += ["term_epochs", "unbonding_s", "minimum_stake", "parameters_hash"]


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("value", [None, "x", [], {}, {"relay_registry": "0x00"}])
def test_damaged_records(chain, name, value):
    good = chain.deployment.to_json()
    for damaged in (good | {name: value}, {k: v for k, v in good.items() if k != name}):
        with pytest.raises(DeploymentFileError):
            Deployment.parse(json.dumps(damaged).encode())


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"\xff", b"[" * 300_000])
def test_what_is_no_record(data):
    with pytest.raises(DeploymentFileError):
        Deployment.parse(data)


# Network files


def test_a_network_file_leads_back_to_the_contracts(chain):
    network = deployed_network(chain.deployment, CONSTANTS, [OWN])
    found = parse_network(json.dumps(network.to_json()).encode())
    assert found.mode is NetworkMode.CHAIN
    assert found.network_id == chain.deployment.network_id
    assert found.rpc == (OWN,)
    assert found.first_block == chain.deployment.block
    assert ChainAnchor.of_network(found, start=found.first_block) == replace(
        chain.anchor(), period_s=CONSTANTS.period_s
    )


async def test_a_network_file_and_an_endpoint_give_the_deployment_back(chain, rpc):
    network = deployed_network(chain.deployment, CONSTANTS, [OWN])
    assert await read_deployment(rpc, network) == chain.deployment
    other = replace(network, genesis_hash=bytes(32))
    with pytest.raises(WrongChainError):
        await read_deployment(rpc, other)
    contracts = {**network.contracts, "relay_registry": network.contracts["identity_registry"]}
    with pytest.raises(WrongContractError):
        await read_deployment(rpc, replace(network, contracts=contracts))


def test_constants_that_it_was_not_deployed_with(chain):
    with pytest.raises(WrongContractError, match="constants of main"):
        deployed_network(chain.deployment, committed_constants("main"), [OWN])


def test_a_network_without_an_identity_registry(chain):
    network = deployed_network(chain.deployment, CONSTANTS, [OWN])
    contracts = {"relay_registry": network.contracts["relay_registry"]}
    with pytest.raises(SettingRangeError, match="identity_registry"):
        ChainAnchor.of_network(replace(network, contracts=contracts))


def test_what_is_final():
    assert final_tag(31337) == "latest"
    assert final_tag(1) == final_tag(10) == "finalized"
