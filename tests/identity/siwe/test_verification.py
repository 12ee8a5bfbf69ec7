"""For whom a message was signed, when, and by whom: each kind of account on a real EVM."""

import pytest

from peerstream.identity import Address, SignatureKind
from peerstream.identity.siwe import SiweMessage, errors, read_signature, verify, write_time
from peerstream.identity.siwe.message import MESSAGE_MAXIMUM
from tests.identity.samples import fixed
from tests.identity.siwe.messages import ACCOUNT, KEY, NOW, expected, message, sign
from tests.identity.test_wallet import Evm, deploy_call, predicted, wrap

STRANGER = fixed("siwe stranger")


@pytest.fixture(scope="module")
def evm():
    return Evm()


def test_what_the_account_signed_for_us_is_accepted():
    assert verify(message(), sign(message()), **expected()) is SignatureKind.PLAIN
    assert verify(str(message()), sign(message()), **expected()) is SignatureKind.PLAIN


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"domain": "evil.example"}, errors.DomainMismatchError),
        ({"domain": "app.example:443"}, errors.DomainMismatchError),
        ({"domain": "App.example"}, errors.DomainMismatchError),
        ({"domain": "user@app.example"}, errors.DomainMismatchError),
        ({"domain": "app.example.evil.example"}, errors.DomainMismatchError),
        ({"scheme": "http"}, errors.SchemeMismatchError),
        ({"uri": "https://evil.example/login"}, errors.UriMismatchError),
        ({"uri": "http://app.example/login"}, errors.UriMismatchError),
        ({"uri": "https://app.example@evil.example/"}, errors.UriMismatchError),
        ({"uri": "https://app.example.evil.example/"}, errors.UriMismatchError),
        ({"uri": "https:app.example"}, errors.UriMismatchError),
        ({"uri": "did:key:app.example"}, errors.UriMismatchError),
        ({"chain_id": 5}, errors.ChainIdMismatchError),
        ({"nonce": "12345678abce"}, errors.NonceMismatchError),
        ({"nonce": "12345678ABCD"}, errors.NonceMismatchError),
        ({"expiration_time": write_time(NOW)}, errors.MessageExpiredError),
        ({"not_before": write_time(NOW + 1)}, errors.MessageNotYetValidError),
    ],
)
def test_what_was_signed_for_another_is_refused_though_the_signature_holds(change, error):
    signed = message(**change)
    with pytest.raises(error):
        verify(signed, sign(signed), **expected())


def test_a_uri_with_a_path_is_itself_only():
    signed = message()
    verify(signed, sign(signed), **expected(uri="https://app.example/login"))
    with pytest.raises(errors.UriMismatchError):
        verify(signed, sign(signed), **expected(uri="https://app.example/other"))


def test_the_last_second_counts():
    signed = message(expiration_time=write_time(NOW + 1), not_before=write_time(NOW))
    verify(signed, sign(signed), **expected())


@pytest.mark.parametrize("field", ["statement", "nonce", "issued_at", "request_id", "resources"])
def test_a_changed_field_is_not_what_was_signed(field):
    other = {
        "statement": "Sign in!",
        "nonce": "87654321",
        "issued_at": "2027-01-15T08:00:01Z",
        "request_id": "r",
        "resources": ("a:b",),
    }
    changed = message(**{field: other[field]})
    with pytest.raises(errors.SiweSignatureError):
        verify(changed, sign(message()), **expected(nonce=changed.nonce))


def test_forms_of_a_signature():
    good = sign(message())
    for v in (good[-1], good[-1] - 27):
        verify(message(), good[:-1] + bytes([v]), **expected())
    twin = _high_s(good)
    for bad in (good[:-1] + b"\x02", good[:-1] + b"\x1d", good[:-1] + b"\xff", bytes(65), twin,
                sign(message(), STRANGER)):  # fmt: skip
        with pytest.raises(errors.SiweSignatureError):
            verify(message(), bad, **expected())
    for bad in (b"", good[:-1] + b"\x1b\x1b", good + good):
        with pytest.raises(errors.SiweChainRequiredError):
            verify(message(), bad, **expected())


def _high_s(signature):
    order = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141
    s = order - int.from_bytes(signature[32:64])
    return signature[:32] + s.to_bytes(32) + bytes([55 - signature[64]])


@pytest.mark.parametrize(
    "text", ["", "0x", "0x1", "1b", "0xzz", "0x" + "00" * 2_049, "0x\n00", "0x\u0660\u0660"]
)
def test_what_is_no_signature_at_all(text):
    with pytest.raises(errors.SiweSignatureError):
        read_signature(text)


def test_a_contract_a_contract_to_be_and_a_designated_account(evm):
    wallet = evm.deploy("OwnedWallet", Address.parse(ACCOUNT))
    factory = evm.deploy("Factory")
    salt = fixed("siwe salt")
    later = predicted(evm, factory, Address.parse(ACCOUNT), salt)
    designated = Address.parse(ACCOUNT)

    at = message(address=str(wallet))
    assert verify(at, sign(at), **expected(), eth_call=evm) is SignatureKind.CONTRACT
    with pytest.raises(errors.SiweSignatureError):
        verify(at, sign(at, STRANGER), **expected(), eth_call=evm)

    at = message(address=str(later))
    wrapped = wrap(factory, deploy_call(designated, salt), sign(at))
    assert verify(at, wrapped, **expected(), eth_call=evm) is SignatureKind.COUNTERFACTUAL
    with pytest.raises(errors.SiweSignatureError):
        verify(at, sign(at), **expected(), eth_call=evm)

    evm.designate(KEY, wallet)
    kind = verify(message(), sign(message()), **expected(), eth_call=evm)
    assert kind in (SignatureKind.DESIGNATED, SignatureKind.CONTRACT)
    old_v = sign(message())[:-1] + bytes([sign(message())[-1] - 27])
    verify(message(), old_v, **expected(), eth_call=evm)


def test_the_contract_is_asked_about_the_erc_191_hash_of_the_text(evm):
    wallet = evm.deploy("OwnedWallet", Address.parse(ACCOUNT))
    at = message(address=str(wallet))
    other = message(address=str(wallet), statement="Another sentence.")
    with pytest.raises(errors.SiweSignatureError):
        verify(at, sign(other), **expected(), eth_call=evm)


def test_a_chain_that_does_not_answer_is_no_fault_of_the_message():
    class Unreachable:
        def code(self, address):
            raise ConnectionError(str(address))

    with pytest.raises(ConnectionError):
        verify(message(), sign(message()), **expected(), eth_call=Unreachable())


def test_a_recap_is_checked_when_it_is_asked_for():
    broken = message(resources=("urn:recap:e30", "https://app.example"))
    verify(broken, sign(broken), **expected())
    with pytest.raises(errors.RecapError):
        verify(broken, sign(broken), **expected(), recaps=True)


def test_the_longest_message_is_verified():
    room = MESSAGE_MAXIMUM - len(str(message(statement="")))
    signed = message(statement="a" * room)
    assert len(str(signed)) == MESSAGE_MAXIMUM
    verify(str(signed), sign(signed), **expected())


def test_every_error_is_one_of_sign_in():
    kinds = [
        e for e in vars(errors).values() if isinstance(e, type) and e.__module__ == errors.__name__
    ]
    assert len(kinds) > 20
    for kind in kinds:
        assert issubclass(kind, errors.SiweError)
        assert len(kind.__doc__) > 30


def test_a_message_is_a_value():
    assert message() == SiweMessage(**{f: getattr(message(), f) for f in SiweMessage.__slots__})
    assert hash(message()) == hash(message())
