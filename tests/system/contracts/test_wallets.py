"""Every kind of wallet delegates and lists its key, on a chain that has real EIP-7702 accounts."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from eth_abi.abi import encode
from eth_account import Account
from eth_account.signers.local import LocalAccount
from web3.exceptions import ContractCustomError, ContractLogicError, Web3RPCError

from peerstream.identity.address import Address
from peerstream.identity.delegation import (
    Delegation,
    DelegationChecks,
    Scope,
    SignedDelegation,
)
from peerstream.identity.errors import (
    BadSignatureError,
    CallRevertedError,
    IssuedInFutureError,
    RevokedError,
    WalletRefusedError,
)
from peerstream.identity.keys import IdentityKey
from peerstream.identity.wallet import ERC6492_SUFFIX, SignatureKind
from tests.system.contracts import chain as chains

KEY = IdentityKey.from_bytes(b"\x44" * 32).public
OWNERS = [Account.from_key(bytes([0x51 + i]) * 32) for i in range(2)]
NOBODY = Account.from_key(b"\x66" * 32)


class Reader:
    """The chain reader of the wallet rule, over web3."""

    def __init__(self, chain: chains.Chain) -> None:
        self.eth = chain.web3.eth

    def code(self, address: Address) -> bytes:
        return bytes(self.eth.get_code(str(address)))

    def call(self, to: Address | None, data: bytes) -> bytes:
        try:
            return bytes(self.eth.call({"data": data} | ({} if to is None else {"to": str(to)})))
        except (ContractLogicError, Web3RPCError) as error:
            raise CallRevertedError(str(error)) from error


class Delegating:
    """An account that wants to delegate: who signs for it, and how its signature looks."""

    def __init__(self, chain: chains.Chain, address: str) -> None:
        self.chain, self.address = chain, address
        self.now = int(time.time())

    def delegation(self, issued: int) -> Delegation:
        return Delegation(
            account=Address.parse(self.address),
            identity_key=KEY,
            issued=issued,
            not_before=self.now - 60,
            not_after=self.now + 86_400,
            scope=Scope.ACCEPT | Scope.DIAL,
        )

    def signed(self, sign: Any, issued: int | None = None) -> SignedDelegation:
        network = bytes(self.chain.relays.functions.networkId().call())
        made = self.delegation(self.now if issued is None else issued)
        return SignedDelegation(network, made, sign(made.digest(network)))

    def verify(self, signed: SignedDelegation) -> SignatureKind:
        identities = self.chain.identities.functions
        return signed.verify(
            DelegationChecks(
                network_id=signed.network_id,
                now=self.now,
                required_scope=Scope.DIAL,
                revoked_before=lambda account: identities.identityOf(str(account)).call()[2],
                eth_call=Reader(self.chain),
            )
        )

    def list_relayed(self, sign: Any) -> None:
        """Have the registry list the key by a signature that somebody else posts."""
        nonce = self.chain.identities.functions.nonces(self.address).call()
        request = (self.address, KEY, nonce, 2**64)
        kind = "SetIdentity(address registry,address account,bytes32 identityKey"
        kind += ",uint256 nonce,uint256 deadline)"
        words = encode(
            ["bytes32", "address", "address", "bytes32", "uint256", "uint256"],
            [self.chain.web3.keccak(text=kind), self.chain.identities.address, *request],
        )
        digest = self.chain.probe.functions.digest(self.chain.web3.keccak(words)).call()
        self.chain.send(self.chain.identities.functions.setIdentityFor(request, sign(digest)))
        assert self.chain.identities.functions.identityOf(self.address).call()[0] == KEY


@pytest.fixture(scope="module")
def chain(npm_packages: None) -> Iterator[chains.Chain]:
    with chains.anvil("--hardfork", "prague") as web3:
        yield chains.Chain(web3)


def by(*signers: LocalAccount) -> Any:
    ordered = sorted(signers, key=lambda signer: signer.address.lower())
    return lambda digest: b"".join(bytes(s.unsafe_sign_hash(digest).signature) for s in ordered)


def addresses() -> list[str]:
    return [owner.address for owner in OWNERS]


def test_a_plain_account(chain: chains.Chain) -> None:
    account = Delegating(chain, Account.from_key(b"\x71" * 32).address)
    sign = by(Account.from_key(b"\x71" * 32))
    assert account.verify(account.signed(sign)) is SignatureKind.PLAIN
    account.list_relayed(sign)


def test_a_wallet_of_two_owners(chain: chains.Chain) -> None:
    wallet = chain.deploy("MultiOwnerWallet", addresses(), 2)
    account = Delegating(chain, wallet.address)
    assert account.verify(account.signed(by(*OWNERS))) is SignatureKind.CONTRACT
    account.list_relayed(by(*OWNERS))
    with pytest.raises(WalletRefusedError):
        account.verify(account.signed(by(OWNERS[0])))
    with pytest.raises(ContractCustomError):
        account.list_relayed(by(OWNERS[0], NOBODY))


def test_a_wallet_that_is_not_there_yet(chain: chains.Chain) -> None:
    factory = chain.deploy("WalletFactory")
    salt = b"\x07" * 32
    create = factory.functions.create(addresses(), 2, salt)
    address = factory.functions.addressOf(addresses(), 2, salt).call()
    account = Delegating(chain, address)

    def wrapped(digest: bytes) -> bytes:
        call = bytes.fromhex(create.build_transaction({"gas": 1})["data"][2:])
        inner = by(*OWNERS)(digest)
        parts = encode(["address", "bytes", "bytes"], [factory.address, call, inner])
        return parts + ERC6492_SUFFIX

    assert chain.web3.eth.get_code(address) == b""
    assert account.verify(account.signed(wrapped)) is SignatureKind.COUNTERFACTUAL
    with pytest.raises(ContractCustomError):  # the registry asks the wallet itself
        account.list_relayed(by(*OWNERS))
    chain.send(create)
    assert account.verify(account.signed(wrapped)) is SignatureKind.CONTRACT
    account.list_relayed(by(*OWNERS))


def point(chain: chains.Chain, account: LocalAccount, target: str) -> None:
    """Point an account's code at a contract, by a transaction of type 4."""
    nonce = chain.web3.eth.get_transaction_count(account.address)
    chosen = {"chainId": 31_337, "address": target, "nonce": nonce + 1}
    plan = {
        "chainId": 31_337,
        "nonce": nonce,
        "to": NOBODY.address,
        "value": 0,
        "gas": 200_000,
        "maxFeePerGas": 10**10,
        "maxPriorityFeePerGas": 10**9,
        "authorizationList": [account.sign_authorization(chosen)],
        "data": b"",
    }
    chain.post(account.sign_transaction(plan).raw_transaction)
    assert bytes(chain.web3.eth.get_code(account.address))[:3] == bytes.fromhex("ef0100")


def test_a_designated_account_whose_code_knows_no_signatures(chain: chains.Chain) -> None:
    owner = Account.from_key(b"\x72" * 32)
    chain.fund(owner.address)
    point(chain, owner, chain.deploy("PlainDelegate").address)
    account = Delegating(chain, owner.address)
    assert account.verify(account.signed(by(owner))) is SignatureKind.DESIGNATED
    account.list_relayed(by(owner))


def test_a_session_key_ends_when_the_code_is_swapped(chain: chains.Chain) -> None:
    owner, session = Account.from_key(b"\x73" * 32), Account.from_key(b"\x74" * 32)
    chain.fund(owner.address)
    delegate = chain.deploy("SessionDelegate")
    point(chain, owner, delegate.address)
    own = chain.web3.eth.contract(address=owner.address, abi=delegate.abi)
    chain.send(own.functions.setSessionKey(session.address), owner)
    account = Delegating(chain, owner.address)
    signed = account.signed(by(session))
    assert account.verify(signed) is SignatureKind.CONTRACT
    account.list_relayed(by(session))
    point(chain, owner, chain.deploy("PlainDelegate").address)  # between signing and showing
    with pytest.raises(BadSignatureError):
        account.verify(signed)
    with pytest.raises(ContractCustomError):
        account.list_relayed(by(session))
    account.list_relayed(by(owner))


def test_a_signature_for_the_far_future_locks_nobody_out(chain: chains.Chain) -> None:
    owner = Account.from_key(b"\x75" * 32)
    chain.fund(owner.address)
    account = Delegating(chain, owner.address)
    stolen = account.signed(by(owner), issued=2**64 - 1)
    with pytest.raises(IssuedInFutureError):
        account.verify(stolen)
    older = account.signed(by(owner), issued=account.now - 10)
    assert account.verify(older) is SignatureKind.PLAIN
    chain.send(chain.identities.functions.revokeBefore(account.now - 5), owner)
    with pytest.raises(RevokedError):
        account.verify(older)
    assert account.verify(account.signed(by(owner))) is SignatureKind.PLAIN
    account.list_relayed(by(owner))
