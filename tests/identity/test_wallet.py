"""The wallet rule against contracts on a real EVM, an EIP-7702 transaction included."""

import coincurve
import pytest
from eth_account import Account
from eth_tester import EthereumTester, PyEVMBackend
from eth_tester.exceptions import TransactionFailed
from hypothesis import given
from hypothesis import strategies as st
from web3 import EthereumTesterProvider, Web3

from peerstream.identity import Address, LocalSigner, SignatureKind, errors, verify_wallet_signature
from peerstream.identity.keys import CURVE_ORDER
from peerstream.identity.wallet import ERC6492_SUFFIX, WALLET_SIGNATURE_MAXIMUM, recover
from tests.identity.samples import fixed, vectors
from tests.reference import slow_identity

CONTRACTS = vectors("wallet-contracts")["contracts"]
DIGEST = fixed("digest")
OWNER = fixed("owner")
STRANGER = fixed("stranger")
GAS = 3_000_000


def sign(secret, digest=DIGEST):
    return slow_identity.ecdsa_sign(secret, digest)


def account(secret):
    return LocalSigner(secret).address


def words(*values):
    return b"".join(
        v.raw.rjust(32, b"\0") if isinstance(v, Address) else v.rjust(32, b"\0") for v in values
    )


def wrap(factory, factory_call, signature):
    """An ERC-6492 signature: abi.encode(address, bytes, bytes) and the suffix."""

    def dynamic(data):
        return len(data).to_bytes(32) + data + bytes(-len(data) % 32)

    first = dynamic(factory_call)
    offsets = (96).to_bytes(32) + (96 + len(first)).to_bytes(32)
    return words(factory) + offsets + first + dynamic(signature) + ERC6492_SUFFIX


class Evm:
    """A py-evm chain: deploys, delegates, and reads as a ChainReader does."""

    def __init__(self):
        self.w3 = Web3(EthereumTesterProvider(EthereumTester(PyEVMBackend())))
        self.payer = self.w3.eth.accounts[0]

    def send(self, to, data, value=0):
        transaction = {"from": self.payer, "data": data, "gas": GAS, "value": value}
        if to is not None:
            transaction["to"] = str(to)
        sent = self.w3.eth.send_transaction(transaction)
        receipt = self.w3.eth.wait_for_transaction_receipt(sent)
        assert receipt["status"] == 1
        return receipt

    def deploy(self, name, *arguments):
        data = bytes.fromhex(CONTRACTS[name]["creation"]) + words(*arguments)
        return Address.parse(self.send(None, data)["contractAddress"])

    def designate(self, secret, delegate):
        """Send the type-4 transaction by which an account points at a contract (EIP-7702)."""
        sponsor = Account.from_key(fixed("sponsor"))
        self.send(sponsor.address, b"", value=10**18)
        chain_id = self.w3.eth.chain_id
        authorisation = Account.from_key(secret).sign_authorization(
            {"chainId": chain_id, "address": str(delegate), "nonce": 0}
        )
        signed = sponsor.sign_transaction(
            {
                "chainId": chain_id,
                "type": 4,
                "nonce": self.w3.eth.get_transaction_count(sponsor.address),
                "gas": 200_000,
                "maxFeePerGas": 10**10,
                "maxPriorityFeePerGas": 10**9,
                "to": str(account(secret)),
                "value": 0,
                "data": b"",
                "authorizationList": [authorisation],
            }
        )
        self.w3.eth.send_raw_transaction(signed.raw_transaction)
        assert self.code(account(secret)) == bytes.fromhex("ef0100") + delegate.raw

    def code(self, address):
        return bytes(self.w3.eth.get_code(str(address)))

    def call(self, to, data):
        transaction = {"data": data, "gas": 500_000}
        if to is not None:
            transaction["to"] = str(to)
        try:
            return bytes(self.w3.eth.call(transaction))
        except TransactionFailed as error:
            raise errors.CallRevertedError("the call reverted") from error


@pytest.fixture(scope="module")
def chain():
    return Evm()


@pytest.fixture
def evm(chain):
    snapshot = chain.w3.provider.ethereum_tester.take_snapshot()
    yield chain
    chain.w3.provider.ethereum_tester.revert_to_snapshot(snapshot)


def selector(signature):
    return slow_identity.keccak256(signature.encode())[:4]


def deploy_call(owner, salt):
    return selector("deploy(address,bytes32)") + words(owner, salt)


def predicted(evm, factory, owner, salt):
    answer = evm.call(factory, selector("predict(address,bytes32)") + words(owner, salt))
    return Address(answer[-20:])


def test_a_plain_account_with_and_without_a_chain(evm):
    for reader in (None, evm):
        kind = verify_wallet_signature(account(OWNER), DIGEST, sign(OWNER), eth_call=reader)
        assert kind is SignatureKind.PLAIN
        with pytest.raises(errors.BadSignatureError):
            verify_wallet_signature(account(OWNER), DIGEST, sign(STRANGER), eth_call=reader)


def test_a_contract_account(evm):
    wallet = evm.deploy("OwnedWallet", account(OWNER))
    kind = verify_wallet_signature(wallet, DIGEST, sign(OWNER), eth_call=evm)
    assert kind is SignatureKind.CONTRACT
    for signature in (sign(STRANGER), sign(OWNER, fixed("other digest")), b"", b"short", bytes(65)):
        with pytest.raises(errors.WalletRefusedError):
            verify_wallet_signature(wallet, DIGEST, signature, eth_call=evm)


def test_without_a_chain_a_contract_s_signature_is_named(evm):
    wallet = evm.deploy("OwnedWallet", account(OWNER))
    for signature in (b"", bytes(66), wrap(wallet, b"", sign(OWNER))):
        with pytest.raises(errors.ChainRequiredError):
            verify_wallet_signature(wallet, DIGEST, signature)
    with pytest.raises(errors.BadSignatureError):
        verify_wallet_signature(wallet, DIGEST, sign(OWNER))


@pytest.mark.parametrize("name", ["SilentWallet", "YesWallet"])
def test_contracts_that_know_no_signatures_accept_none(evm, name):
    wallet = evm.deploy(name)
    for signature in (sign(OWNER), wrap(wallet, b"", sign(OWNER))):
        with pytest.raises(errors.WalletRefusedError):
            verify_wallet_signature(wallet, DIGEST, signature, eth_call=evm)


def test_a_contract_s_former_key_counts_for_nothing(evm):
    """An address with real code is judged by the code alone, even where ecrecover would fit."""

    class WithCode(Evm):
        def __init__(self):
            self.w3, self.payer = evm.w3, evm.payer

        def code(self, _address):
            return bytes.fromhex(CONTRACTS["SilentWallet"]["runtime"])

    with pytest.raises(errors.WalletRefusedError):
        verify_wallet_signature(account(OWNER), DIGEST, sign(OWNER), eth_call=WithCode())


def test_a_counterfactual_account(evm):
    factory, salt = evm.deploy("Factory"), fixed("salt")
    wallet = predicted(evm, factory, account(OWNER), salt)
    wrapped = wrap(factory, deploy_call(account(OWNER), salt), sign(OWNER))
    kind = verify_wallet_signature(wallet, DIGEST, wrapped, eth_call=evm)
    assert kind is SignatureKind.COUNTERFACTUAL
    assert evm.code(wallet) == b""
    evm.send(factory, deploy_call(account(OWNER), salt))
    assert verify_wallet_signature(wallet, DIGEST, wrapped, eth_call=evm) is SignatureKind.CONTRACT


def test_a_counterfactual_account_refuses_strangers(evm):
    factory, salt = evm.deploy("Factory"), fixed("salt")
    wallet = predicted(evm, factory, account(OWNER), salt)
    right = deploy_call(account(OWNER), salt)
    refused = {
        "a stranger's signature": wrap(factory, right, sign(STRANGER)),
        "a stranger's wallet": wrap(factory, deploy_call(account(STRANGER), salt), sign(STRANGER)),
        "a factory that is none": wrap(account(STRANGER), right, sign(OWNER)),
        "a factory that reverts": wrap(factory, b"nonsense", sign(OWNER)),
        "no factory call": wrap(factory, b"", sign(OWNER)),
    }
    for signature in refused.values():
        with pytest.raises(errors.WalletRefusedError):
            verify_wallet_signature(wallet, DIGEST, signature, eth_call=evm)


def test_a_wrapper_does_not_turn_a_plain_account_into_a_contract(evm):
    factory = evm.deploy("Factory")
    wrapped = wrap(factory, deploy_call(account(STRANGER), fixed("s")), sign(STRANGER))
    with pytest.raises(errors.WalletRefusedError):
        verify_wallet_signature(account(OWNER), DIGEST, wrapped, eth_call=evm)


def test_a_deployed_account_that_must_be_prepared_first(evm):
    wallet = evm.deploy("SleepingWallet", account(OWNER))
    with pytest.raises(errors.WalletRefusedError):
        verify_wallet_signature(wallet, DIGEST, sign(OWNER), eth_call=evm)
    wrapped = wrap(wallet, selector("wake()"), sign(OWNER))
    kind = verify_wallet_signature(wallet, DIGEST, wrapped, eth_call=evm)
    assert kind is SignatureKind.COUNTERFACTUAL
    with pytest.raises(errors.WalletRefusedError):
        verify_wallet_signature(
            wallet, DIGEST, wrap(wallet, selector("wake()"), sign(STRANGER)), eth_call=evm
        )


def test_a_designated_account_signs_with_its_own_key_when_its_delegate_knows_none(evm):
    evm.designate(OWNER, evm.deploy("SilentWallet"))
    kind = verify_wallet_signature(account(OWNER), DIGEST, sign(OWNER), eth_call=evm)
    assert kind is SignatureKind.DESIGNATED
    with pytest.raises(errors.BadSignatureError):
        verify_wallet_signature(account(OWNER), DIGEST, sign(STRANGER), eth_call=evm)


def test_a_designated_account_is_judged_by_its_delegate_first(evm):
    delegate = evm.deploy("SleepingWallet", account(STRANGER))
    evm.designate(OWNER, delegate)
    evm.send(account(OWNER), selector("wake()"))
    kind = verify_wallet_signature(account(OWNER), DIGEST, sign(STRANGER), eth_call=evm)
    assert kind is SignatureKind.CONTRACT


SIGNATURE = sign(OWNER)


def with_v(v):
    return SIGNATURE[:64] + bytes([v])


def high_s():
    s = CURVE_ORDER - int.from_bytes(SIGNATURE[32:64])
    return SIGNATURE[:32] + s.to_bytes(32) + bytes([55 - SIGNATURE[64]])


@pytest.mark.parametrize(
    "signature",
    [
        high_s(),
        *(with_v(v) for v in (0, 1, 26, 29, 35, 255)),
        SIGNATURE[:64],
        bytes(64) + b"\x1b",
        bytes(32) + SIGNATURE[32:],
        SIGNATURE[:32] + bytes(32) + b"\x1b",
        CURVE_ORDER.to_bytes(32) + SIGNATURE[32:],
        bytes(WALLET_SIGNATURE_MAXIMUM + 1),
    ],
)
def test_other_forms_of_a_signature_are_refused(signature):
    with pytest.raises(errors.SignatureFormatError):
        verify_wallet_signature(account(OWNER), DIGEST, signature)


def test_the_high_s_twin_would_recover_the_same_account():
    """Which is why it must be refused: one signature, two spellings."""
    twin = high_s()
    key = coincurve.PublicKey.from_signature_and_message(
        twin[:64] + bytes([twin[64] - 27]), DIGEST, hasher=None
    )
    assert Address.of_public_key(key.format(compressed=False)[1:]) == account(OWNER)
    assert recover(DIGEST, SIGNATURE) == account(OWNER)


@given(st.binary(max_size=200))
def test_arbitrary_signatures_raise_named_errors_without_a_chain(signature):
    with pytest.raises((errors.BadSignatureError, errors.ChainRequiredError)):
        verify_wallet_signature(account(OWNER), DIGEST, signature)


@given(st.binary(min_size=65, max_size=65), st.sampled_from([27, 28]))
def test_arbitrary_65_bytes_raise_named_errors(signature, v):
    with pytest.raises(errors.BadSignatureError):
        verify_wallet_signature(account(OWNER), DIGEST, signature[:64] + bytes([v]))


class DeafReader:
    """A chain where nothing exists and every call reverts."""

    def code(self, _address):
        return b""

    def call(self, _to, _data):
        raise errors.CallRevertedError("reverted")


@given(st.binary(max_size=400), st.lists(st.integers(0, 2**256 - 1), min_size=3, max_size=5))
def test_arbitrary_wrappers_raise_named_errors(tail, head):
    body = b"".join(number.to_bytes(32) for number in head) + tail
    with pytest.raises(errors.BadSignatureError):
        verify_wallet_signature(
            account(OWNER), DIGEST, body + ERC6492_SUFFIX, eth_call=DeafReader()
        )


@given(st.integers(0, 1_000), st.integers(0, 1_000), st.binary(max_size=300))
def test_wrappers_that_point_outside_themselves_raise_named_errors(first, second, tail):
    body = words(account(OWNER)) + first.to_bytes(32) + second.to_bytes(32) + tail
    with pytest.raises(errors.BadSignatureError):
        verify_wallet_signature(
            account(OWNER), DIGEST, body + ERC6492_SUFFIX, eth_call=DeafReader()
        )
