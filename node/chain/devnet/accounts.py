"""The funded accounts of a devnet, from the mnemonic that all Ethereum tools know (SPEC 8.7)."""

from dataclasses import dataclass, field
from functools import cache
from typing import Final

from eth_account.hdaccount import seed_from_mnemonic
from eth_account.hdaccount.deterministic import HDPath

from peerstream.identity.address import Address
from peerstream.identity.signer import LocalSigner

MNEMONIC: Final = "test test test test test test test test test test test junk"
HD_PATH: Final = "m/44'/60'/0'/0"
ACCOUNTS: Final = 64
BALANCE: Final = 10_000 * 10**18


@dataclass(frozen=True, slots=True)
class DevAccount:
    """An account whose key is public knowledge: `secret` is 32 bytes."""

    address: Address
    secret: bytes = field(repr=False)


@cache
def dev_accounts(count: int = ACCOUNTS) -> tuple[DevAccount, ...]:
    """Return the first accounts of the mnemonic, in the order of anvil and Hardhat."""
    seed = seed_from_mnemonic(MNEMONIC, "")
    secrets = (bytes(HDPath(f"{HD_PATH}/{index}").derive(seed)) for index in range(count))
    return tuple(DevAccount(LocalSigner(secret).address, secret) for secret in secrets)
