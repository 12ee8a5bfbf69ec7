"""What ties a reader to one network on one chain, and its check against an endpoint (SPEC 8.3)."""

from dataclasses import dataclass
from typing import Final, Self

from peerstream.identity.address import Address
from peerstream.identity.network import chain_network_id
from peerstream.node.chain.board import board_of
from peerstream.node.chain.contract_calls import (
    ANCHOR,
    EPOCH_S,
    NETWORK_HASH,
    NETWORK_ID,
    read_word,
    view_call,
)
from peerstream.node.chain.errors import (
    EndpointRefusedError,
    MalformedAnswerError,
    WrongChainError,
    WrongContractError,
)
from peerstream.node.chain.quantities import Header, read_quantity
from peerstream.node.chain.rpc import RpcClient
from peerstream.node.config import NetworkParameters, TrustedRoot
from peerstream.node.config.errors import SettingRangeError

DEVNET_CHAIN: Final = 31_337
_RELAYS: Final = "relay_registry"
_IDENTITIES: Final = "identity_registry"


@dataclass(frozen=True, slots=True)
class ChainAnchor:
    """One network on one chain: genesis_hash and parameters_hash 32 bytes, start the first block.

    period_s: length of a descriptor period, 0 where no ring is made. trusted_root: one that the
    network file vouches for. board: where commitments to records are. final_tag: the block whose
    past is taken to stand: "finalized", "safe" or "latest".
    """

    chain_id: int
    genesis_hash: bytes
    relay_registry: Address
    identity_registry: Address
    epoch_s: int
    parameters_hash: bytes
    start: int = 0
    final_tag: str = "finalized"
    period_s: int = 0
    trusted_root: TrustedRoot | None = None
    board: Address | None = None

    @classmethod
    def of_network(cls, network: NetworkParameters, start: int = 0) -> Self:
        """Return the anchor that a network file of mode chain gives.

        Raises SettingRangeError when it names no identity registry.
        """
        if _IDENTITIES not in network.contracts:
            raise SettingRangeError(f"trust.contracts lacks {_IDENTITIES}")
        return cls(
            chain_id=network.chain_id,
            genesis_hash=network.genesis_hash,
            relay_registry=network.contracts[_RELAYS],
            identity_registry=network.contracts[_IDENTITIES],
            epoch_s=network.epoch_s,
            parameters_hash=network.parameters_hash,
            start=start,
            final_tag=final_tag(network.chain_id),
            period_s=network.period_s,
            trusted_root=network.trusted_root,
            board=board_of(network.contracts),
        )

    @property
    def network_id(self) -> bytes:
        """The network id, 32 bytes."""
        return chain_network_id(self.chain_id, self.relay_registry, self.genesis_hash)

    @property
    def is_final(self) -> bool:
        """Whether what was read once can never be undone."""
        return self.final_tag == "finalized"

    async def verify(self, client: RpcClient) -> None:
        """Check that an endpoint serves this chain and these contracts.

        Raises WrongChainError, WrongContractError, or EndpointError as a subclass.
        """
        await self.verify_chain(client)
        await self._verify_contracts(client)

    async def verify_chain(self, client: RpcClient) -> None:
        """Check only the chain. Raises WrongChainError, or EndpointError as a subclass."""
        chain_id, genesis = await client.batch(
            [("eth_chainId", ()), ("eth_getBlockByNumber", ("0x0", False))]
        )
        if read_quantity(_answered(chain_id)) != self.chain_id:
            raise WrongChainError(f"{client.name} is not of chain {self.chain_id}")
        if Header.read(_answered(genesis)).hash != self.genesis_hash:
            raise WrongChainError(f"{client.name} has another first block than the network file")

    async def _verify_contracts(self, client: RpcClient) -> None:
        relays, identities = self.relay_registry, self.identity_registry
        ours = relays.raw.rjust(32, b"\0")
        expected = [
            (relays, NETWORK_ID, self.network_id),
            (relays, NETWORK_HASH, self.parameters_hash),
            (relays, EPOCH_S, self.epoch_s.to_bytes(32, "big")),
            (identities, ANCHOR, ours),
        ]
        if self.board is not None:
            expected.append((self.board, ANCHOR, ours))
        answers = await client.batch(
            [view_call(contract, function, block="latest") for contract, function, _ in expected]
        )
        for (contract, _, wanted), answer in zip(expected, answers, strict=True):
            if isinstance(answer, EndpointRefusedError) or answer == "0x":
                raise WrongContractError(f"{contract} is no contract of ours")
            if read_word(answer) != wanted:
                raise WrongContractError(f"{contract} is of another network")


def final_tag(chain_id: int) -> str:
    """Return which block of a chain is final: on a devnet the last one, else the finalized one."""
    return "latest" if chain_id == DEVNET_CHAIN else "finalized"


def _answered(answer: object) -> object:
    if isinstance(answer, EndpointRefusedError):
        raise answer
    if answer is None:
        raise MalformedAnswerError("an endpoint without its own first block")
    return answer
