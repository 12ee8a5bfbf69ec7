"""From a deployment to the network file that names it, and back (SPEC 8.6)."""

from collections.abc import Sequence
from typing import Final

from peerstream.identity.network import NetworkMode
from peerstream.node.chain.anchor import ChainAnchor
from peerstream.node.chain.contract_calls import (
    MINIMUM_STAKE,
    TERM_EPOCHS,
    UNBONDING_S,
    read_word,
    view_call,
)
from peerstream.node.chain.deploy import BOARD, IDENTITIES, RELAYS, Deployment, RegistrySettings
from peerstream.node.chain.errors import WrongContractError
from peerstream.node.chain.rpc import RpcClient
from peerstream.node.config import Bootstrap, NetworkConstants, NetworkParameters, RpcEndpoint

_NAMED: Final = (RELAYS, IDENTITIES, BOARD)  # what a network file may name


def deployed_network(
    deployment: Deployment,
    constants: NetworkConstants,
    rpc: Sequence[RpcEndpoint],
    bootstrap: Sequence[Bootstrap] = (),
) -> NetworkParameters:
    """Return the parameters of a network of mode chain; `to_json` of it is the network file.

    constants: those that it was deployed with, else WrongContractError. rpc: where to read it, for
    a devnet one own node. bootstrap: relays to ask first.
    """
    if constants.parameters_hash != deployment.settings.parameters_hash:
        raise WrongContractError(f"not deployed with the constants of {constants.name}")
    values = {name: getattr(constants, name) for name in constants.constants_json()}
    contracts = {n: a for n, a in deployment.addresses.items() if n in _NAMED}
    return NetworkParameters(
        **values,
        mode=NetworkMode.CHAIN,
        chain_id=deployment.chain_id,
        genesis_hash=deployment.genesis_hash,
        contracts=contracts,
        first_block=deployment.block,
        rpc=tuple(rpc),
        bootstrap=tuple(bootstrap),
    )


async def read_deployment(rpc: RpcClient, network: NetworkParameters) -> Deployment:
    """Return the deployment that a network file of mode chain names, as an endpoint has it.

    Raises WrongChainError, WrongContractError; EndpointError, as a subclass; SettingRangeError
    when the file names no identity registry.
    """
    anchor = ChainAnchor.of_network(network, start=network.first_block)
    await anchor.verify(rpc)
    functions = (TERM_EPOCHS, UNBONDING_S, MINIMUM_STAKE)
    answers = await rpc.batch(
        [view_call(anchor.relay_registry, function, block="latest") for function in functions]
    )
    term, unbonding, stake = (int.from_bytes(read_word(answer), "big") for answer in answers)
    return Deployment(
        chain_id=network.chain_id,
        genesis_hash=network.genesis_hash,
        network_id=network.network_id,
        block=network.first_block,
        addresses=dict(network.contracts),
        settings=RegistrySettings(network.epoch_s, term, unbonding, stake, network.parameters_hash),
    )
