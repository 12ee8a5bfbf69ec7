"""The file in which an embedded devnet survives a restart (SPEC 8.7).

It holds what every block was made of, and loading mines them again: same blocks, same hashes.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from peerstream.identity.json_text import read_json
from peerstream.node.chain.deploy import Deployment
from peerstream.node.chain.devnet.errors import StateFileError
from peerstream.node.chain.devnet.ledger import Ledger
from peerstream.node.chain.errors import DeploymentFileError

SCHEMA: Final = "psp.devnet-state/1"
FILE_MAX: Final = 268_435_456


@dataclass(frozen=True, slots=True)
class SavedBlock:
    """What a block was made of: unix seconds, prevrandao of 32 bytes, raw transactions."""

    timestamp: int
    randomness: bytes
    transactions: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class SavedState:
    """A chain: its first second, its blocks, and what was deployed."""

    genesis_time: int
    blocks: tuple[SavedBlock, ...]
    deployment: Deployment

    @classmethod
    def of(cls, ledger: Ledger, deployment: Deployment) -> "SavedState":
        """Take the state of a running chain."""
        blocks = tuple(
            SavedBlock(
                block.header.timestamp,
                bytes(block.header.mix_hash),
                tuple(transaction.encode() for transaction in block.transactions),
            )
            for block in ledger.blocks[1:]
        )
        return cls(ledger.blocks[0].header.timestamp, blocks, deployment)

    def restore(self, ledger: Ledger) -> None:
        """Mine all blocks again on a new chain. Raises TransactionRefusedError."""
        for block in self.blocks:
            ledger.replay(block.transactions, block.timestamp, block.randomness)

    def save(self, path: Path) -> None:
        """Write the file, all or nothing."""
        fresh = path.with_name(path.name + ".new")
        fresh.write_text(json.dumps(self._to_json()))
        fresh.replace(path)

    @classmethod
    def load(cls, path: Path) -> "SavedState":
        """Read the file. Raises StateFileError."""
        try:
            if path.stat().st_size > FILE_MAX:
                raise StateFileError(f"{path} is larger than {FILE_MAX} bytes")
            return cls._read(read_json(path.read_bytes()))
        except (OSError, ValueError, KeyError, TypeError, DeploymentFileError) as error:
            raise StateFileError(f"{path} is no {SCHEMA}: {type(error).__name__}") from error

    def _to_json(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "genesis_time": self.genesis_time,
            "blocks": [
                [b.timestamp, b.randomness.hex(), [raw.hex() for raw in b.transactions]]
                for b in self.blocks
            ],
            "deployment": self.deployment.to_json(),
        }

    @classmethod
    def _read(cls, found: dict[str, Any]) -> "SavedState":
        if found["schema"] != SCHEMA:
            raise StateFileError(f"the file is no {SCHEMA}")
        blocks = tuple(
            SavedBlock(int(time), bytes.fromhex(seed), tuple(map(bytes.fromhex, raws)))
            for time, seed, raws in found["blocks"]
        )
        deployment = Deployment.parse(json.dumps(found["deployment"]).encode())
        return cls(int(found["genesis_time"]), blocks, deployment)
