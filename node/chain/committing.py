"""Writing to the rendezvous board (SPEC 8.8).

Loads eth-abi, which a node that reads does without.
"""

from dataclasses import dataclass, field
from typing import Final

from coincurve import PublicKey

from peerstream.identity.address import Address
from peerstream.identity.descriptor.commitment import Commitment
from peerstream.node.chain.abi import encode_call
from peerstream.node.chain.errors import ChainError
from peerstream.node.chain.sending import Sender
from peerstream.node.chain.transactions import Plan
from peerstream.node.ports import CommitError

_CONTRACT: Final = "RendezvousBoard"
_HALF: Final = 32


@dataclass(frozen=True, slots=True)
class ChainCommitter:
    """Implements `peerstream.node.ports.Commit`; `sender` pays, and is seen to."""

    board: Address
    sender: Sender = field(repr=False)

    async def __call__(self, commitment: Commitment, signature: bytes) -> None:
        """Post it and wait until it is mined. Raises CommitError from the ChainError."""
        try:
            await self.sender.send(commit_plan(self.board, commitment, signature))
        except ChainError as error:
            raise CommitError(f"{type(error).__name__}: {error}") from error


def commit_plan(board: Address, commitment: Commitment, signature: bytes) -> Plan:
    """Return the transaction by which anybody posts what a blinded key signed (64 bytes)."""
    says = (commitment.blinded, commitment.period, commitment.revision, commitment.digest)
    data = encode_call(_CONTRACT, "commit", (says, _with_nonce_y(signature)))
    summary = (
        f"commit blinded key {commitment.blinded.hex()} to revision {commitment.revision}",
        f"in period {commitment.period}: everybody sees when, and who paid",
    )
    return Plan(to=board, data=data, summary=summary)


def _with_nonce_y(signature: bytes) -> tuple[int, int, int]:
    """Return rx, ry and s: the contract is told the even y, which BIP-340 leaves out."""
    point = PublicKey(b"\x02" + signature[:_HALF]).format(compressed=False)
    parts = (signature[:_HALF], point[1 + _HALF :], signature[_HALF:])
    rx, ry, s = (int.from_bytes(part, "big") for part in parts)
    return rx, ry, s
