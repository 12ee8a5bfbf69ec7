"""What may be dialled by name, and what is refused (SPEC 16.1)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerstream.identity.address import Address
from peerstream.node.gateway.errors import (
    BadNameError,
    BadPortError,
    DestinationError,
    ForeignNameError,
    NumericHostError,
)
from peerstream.node.gateway.names import (
    HOST_MAX,
    Alias,
    Destination,
    EnsName,
    parse_destination,
    service_of_port,
)

CHECKED = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"  # from ERC-55
ADDRESS = Address.parse(CHECKED)
UPPER = "0x" + CHECKED[2:].upper()

labels = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True)
aliases = labels.filter(lambda label: not label.startswith("0x"))
addresses = st.binary(min_size=20, max_size=20).map(Address)


@pytest.mark.parametrize(
    ("host", "found"),
    [
        (f"{CHECKED}.psp.alt", Destination(ADDRESS)),
        (f"{CHECKED.lower()}.psp.alt", Destination(ADDRESS)),
        (f"{UPPER}.PSP.ALT", Destination(ADDRESS)),
        (f"{UPPER.replace('x', 'X')}.psp.alt", Destination(ADDRESS)),
        (f"{CHECKED}.psp.alt.", Destination(ADDRESS)),
        (f"Chat.{CHECKED}.psp.alt", Destination(ADDRESS, "chat")),
        ("alice.psp.alt", Destination(Alias("alice"))),
        ("db.Alice.psp.alt", Destination(Alias("alice"), "db")),
        ("alice.eth", Destination(EnsName("alice.eth"))),
        ("Alice.ETH", Destination(EnsName("alice.eth"))),
        ("ssh.alice.eth.", Destination(EnsName("alice.eth"), "ssh")),
        ("ö.eth", Destination(EnsName("ö.eth"))),
    ],
)
def test_names_of_the_network(host, found):
    assert parse_destination(host) == found


@pytest.mark.parametrize(
    ("host", "error"),
    [
        ("", ForeignNameError),
        ("localhost", ForeignNameError),
        ("web.localhost", ForeignNameError),
        ("example.com", ForeignNameError),
        ("alice.eth.example.com", ForeignNameError),
        ("psp.alt", ForeignNameError),
        ("alice.alt", ForeignNameError),
        ("alice.psp.alt.example.com", ForeignNameError),
        ("alicepsp.alt", ForeignNameError),
        (CHECKED + "psp.alt", ForeignNameError),
        ("127.0.0.1", NumericHostError),
        ("127.1", NumericHostError),
        ("2130706433", NumericHostError),
        ("0x7f000001", NumericHostError),
        ("0x7f.1", NumericHostError),
        ("1.2.3.4.", NumericHostError),
        ("::1", NumericHostError),
        ("[::1]", NumericHostError),
        ("fe80::1%eth0", NumericHostError),
        (".psp.alt", BadNameError),
        ("..psp.alt", BadNameError),
        ("alice..psp.alt", BadNameError),
        (".alice.psp.alt", BadNameError),
        ("a.b.alice.psp.alt", BadNameError),
        ("a_b.psp.alt", BadNameError),
        ("-a.psp.alt", BadNameError),
        ("a-.psp.alt", BadNameError),
        ("a b.psp.alt", BadNameError),
        ("a\n.psp.alt", BadNameError),
        ("a\0.psp.alt", BadNameError),
        ("ä.psp.alt", BadNameError),
        ("\u212aelvin.psp.alt", BadNameError),  # its lower case is ASCII
        ("a" * 64 + ".psp.alt", BadNameError),
        ("a" * 254 + ".eth", BadNameError),
        (CHECKED[:-1] + ".psp.alt", BadNameError),
        (CHECKED + "0.psp.alt", BadNameError),
        (CHECKED.replace("aA", "AA") + ".psp.alt", BadNameError),
        ("0xalice.psp.alt", BadNameError),
        (".eth", BadNameError),
        ("a.b.alice.eth", BadNameError),
        (".alice.eth", BadNameError),
        ("alice .eth", BadNameError),
        ("alice\x1b.eth", BadNameError),
        ("\udcff.eth", BadNameError),
    ],
)
def test_everything_else_is_refused_by_name(host, error):
    with pytest.raises(error) as refusal:
        parse_destination(host)
    assert str(refusal.value).isascii()
    assert str(refusal.value).isprintable()
    assert len(str(refusal.value)) < 600


@given(addresses, labels, st.sampled_from([str, lambda a: str(a).lower()]))
def test_every_address_is_reached_by_name(address, service, written):
    assert parse_destination(f"{written(address)}.psp.alt") == Destination(address)
    assert parse_destination(f"{service}.{written(address)}.psp.alt") == Destination(
        address, service
    )


@given(aliases, labels)
def test_every_alias_is_reached_by_name(alias, service):
    assert parse_destination(f"{alias}.psp.alt") == Destination(Alias(alias))
    assert parse_destination(f"{service}.{alias}.psp.alt") == Destination(Alias(alias), service)


@given(st.text(max_size=300) | st.text(max_size=40).map(lambda text: text + ".psp.alt"))
def test_any_text_is_a_destination_or_refused(host):
    try:
        found = parse_destination(host)
    except DestinationError:
        return
    assert host.removesuffix(".").lower().endswith((".psp.alt", ".eth"))
    assert len(host) <= HOST_MAX + 1
    assert found == parse_destination(host.removesuffix("."))


@given(st.integers(-2, 70_000))
def test_a_port_stands_for_a_service(port):
    if not 1 <= port <= 65_535:
        with pytest.raises(BadPortError):
            service_of_port(port)
        return
    known = {22: "ssh", 80: "web"}
    assert service_of_port(port) == known.get(port, str(port))
    assert Destination(ADDRESS).at_port(port).service == known.get(port, str(port))
    assert Destination(ADDRESS, "chat").at_port(port).service == "chat"
