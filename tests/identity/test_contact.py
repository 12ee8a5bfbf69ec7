"""Contact cards and the secret of a pair."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerstream.identity import Address, ContactCard, IdentityKey, errors
from peerstream.identity.contact import new_client_key, new_contact_secret, pair_secret
from peerstream.identity.keys import CURVE_ORDER
from tests.identity.samples import IDENTITY, WALLET, FixedEntropy, fixed

keys = st.integers(1, CURVE_ORDER - 1).map(lambda n: IdentityKey.from_bytes(n.to_bytes(32)))


@given(
    st.binary(min_size=20, max_size=20),
    keys,
    st.just(b"") | st.binary(min_size=32, max_size=32),
)
def test_parse_undoes_str(account, key, contact_secret):
    card = ContactCard(Address(account), key.public, contact_secret)
    assert ContactCard.parse(str(card)) == card


@given(st.text(max_size=300))
def test_arbitrary_text_is_refused(text):
    with pytest.raises(errors.EncodingError):
        ContactCard.parse(text)


@given(st.integers(0, 111), st.characters())
def test_a_changed_character_is_refused_or_names_another_card(position, character):
    uri = str(ContactCard(WALLET.address, IDENTITY.public))
    changed = uri[:position] + character + uri[position + 1 :]
    try:
        card = ContactCard.parse(changed)
    except errors.IdentityError:
        return
    assert str(card) == changed


def test_a_card_s_repr_hides_its_secret():
    card = ContactCard(WALLET.address, IDENTITY.public, fixed("contact"))
    assert fixed("contact").hex() not in repr(card)
    assert fixed("contact").hex() in str(card)


@pytest.mark.parametrize("contact_secret", [bytes(16), bytes(33)])
def test_a_secret_of_another_size_is_refused(contact_secret):
    with pytest.raises(errors.EncodingError):
        ContactCard(WALLET.address, IDENTITY.public, contact_secret)


@given(keys, keys)
def test_both_sides_of_a_pair_get_the_same_secret(one, two):
    assert pair_secret(one, two.public) == pair_secret(two, one.public)


@given(keys, keys)
def test_the_parity_of_a_key_does_not_matter(one, two):
    negated = IdentityKey.from_bytes((CURVE_ORDER - one.even_scalar()).to_bytes(32))
    assert negated.public == one.public
    assert pair_secret(negated, two.public) == pair_secret(one, two.public)
    assert pair_secret(two, negated.public) == pair_secret(two, one.public)


def test_secrets_are_drawn_from_entropy():
    assert (
        new_contact_secret(FixedEntropy()) == FixedEntropy()(32) == new_client_key(FixedEntropy())
    )
