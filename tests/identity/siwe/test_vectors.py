"""Every published vector, with the one deviation that is meant."""

import pytest

from peerstream.identity.siwe import (
    SiweError,
    SiweMessage,
    errors,
    parse,
    read_recap,
    read_signature,
    read_time,
    verify,
)
from tests.identity.siwe.messages import vectors

POSITIVE = vectors("parsing_positive")
NEGATIVE = vectors("parsing_negative")
OBJECTS = vectors("parsing_negative_objects")
VERIFIED = vectors("verification_positive")
REFUSED = vectors("verification_negative")
CONTRACTS = vectors("eip1271")
RECAPS = vectors("recap_positive")
LOWER_CASE = "address not EIP-55"  # the deviation: no checksum is no wrong checksum
LATER = 1_700_000_000

FIELD_OF = {
    "missing domain": errors.DomainError,
    "missing address": errors.AccountError,
    "domain not RFC4501 authority": errors.DomainError,
    "uri is non-RFC 3986": errors.UriError,
    "version not 1": errors.VersionError,
    "not a valid chainId": errors.ChainIdError,
    "nonce with less then 8 chars": errors.NonceError,
    "non-ISO 8601 issuedAt": errors.TimeError,
    "non-ISO 8601 expirationTime": errors.TimeError,
    "non-ISO 8601 notBefore": errors.TimeError,
    "resources not separated by line break": errors.UriError,
    "first resource not-RFC 3986": errors.UriError,
    "second resource is not-RFC3986": errors.UriError,
}


def test_all_vectors_are_here():
    files = (POSITIVE, NEGATIVE, OBJECTS, VERIFIED, REFUSED, CONTRACTS, RECAPS)
    assert [len(file) for file in files] == [19, 29, 18, 4, 10, 2, 3]


@pytest.mark.parametrize("name", POSITIVE)
def test_what_is_well_formed_is_read_and_written_back(name):
    text, fields = POSITIVE[name]["message"], POSITIVE[name]["fields"]
    given = {key: value for key, value in fields.items() if value is not None}
    assert parse(text) == SiweMessage.from_fields(given)
    assert str(parse(text)) == text


@pytest.mark.parametrize("name", [name for name in NEGATIVE if name != LOWER_CASE])
def test_what_is_malformed_is_refused_by_name(name):
    with pytest.raises(FIELD_OF.get(name, errors.LayoutError)):
        parse(NEGATIVE[name])


def test_an_address_in_one_case_is_read_and_known_to_have_no_checksum():
    read = parse(NEGATIVE[LOWER_CASE])
    assert read.address == read.address.lower()
    assert not read.has_checksum
    assert str(read) == NEGATIVE[LOWER_CASE]
    assert str(read.account) != read.address


@pytest.mark.parametrize("name", OBJECTS)
def test_fields_that_make_no_message_are_refused(name):
    with pytest.raises(errors.SiweFormatError):
        SiweMessage.from_fields(OBJECTS[name])


def check(case):
    fields = dict(case)
    signature, time = fields.pop("signature"), fields.pop("time", None)
    domain = fields.pop("domainBinding", fields["domain"])
    nonce = fields.pop("matchNonce", fields["nonce"])
    return verify(
        str(SiweMessage.from_fields(fields)),
        read_signature(signature),
        domain=domain,
        uri=fields["uri"],
        nonce=nonce,
        chain_id=fields["chainId"],
        now=LATER if time is None else read_time(time),
    )


@pytest.mark.parametrize("name", VERIFIED)
def test_what_was_signed_verifies(name):
    check(VERIFIED[name])


WHY = {
    "expired message": errors.MessageExpiredError,
    "domain binding": errors.DomainMismatchError,
    "custom time": errors.MessageExpiredError,
    "custom nonce": errors.NonceMismatchError,
    "malformed signature": errors.SiweSignatureError,
    "wrong signature": errors.SiweSignatureError,
    "not yet valid": errors.MessageNotYetValidError,
    "invalid issuedAt": errors.TimeError,
    "invalid notBefore": errors.TimeError,
    "invalid expirationTime": errors.TimeError,
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_hold_is_refused_by_name(name):
    with pytest.raises(WHY[name]):
        check(REFUSED[name])


@pytest.mark.parametrize("name", CONTRACTS)
def test_a_contract_s_signature_is_never_taken_for_a_key_s(name):
    read = parse(CONTRACTS[name]["message"])
    with pytest.raises(SiweError):
        verify(
            read,
            read_signature(CONTRACTS[name]["signature"]),
            domain=read.domain,
            uri=read.uri,
            nonce=read.nonce,
            chain_id=1,
            now=LATER,
        )


@pytest.mark.parametrize("name", RECAPS)
def test_recaps(name):
    written = RECAPS[name]["message"]
    read = parse(written) if isinstance(written, str) else SiweMessage.from_fields(written)
    recap = read_recap(read)
    assert recap.uri == read.resources[-1]
    assert read.statement.endswith(recap.statement)
    assert recap.abilities == {
        target: {ability: tuple(notes) for ability, notes in allowed.items()}
        for target, allowed in RECAPS[name]["recap"]["att"].items()
    }
