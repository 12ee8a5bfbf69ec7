import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerstream.node.chain.errors import MalformedAnswerError
from peerstream.node.chain.quantities import (
    Header,
    read_list,
    read_octets,
    read_quantity,
    read_table,
)


@given(st.integers(0, 2**256 - 1))
def test_quantities(number):
    assert read_quantity(hex(number)) == number


@pytest.mark.parametrize(
    "value",
    [
        *(None, 7, True, "", "0x", "7", "0X7", "0x-1", "0x+1", "0x_1", "0x 1", "0xg"),
        *("0x" + "1" * 65, "0x1\n", [], {}, b"0x1"),
    ],
)
def test_what_is_no_quantity(value):
    with pytest.raises(MalformedAnswerError):
        read_quantity(value)


@given(st.binary(max_size=200))
def test_octets(raw):
    assert read_octets("0x" + raw.hex()) == raw
    assert read_octets("0x" + raw.hex().upper(), len(raw)) == raw


@pytest.mark.parametrize(
    "value", [None, 7, "", "ab", "0xa", "0xzz", "0x ab", "0xab cd", "0xab\n", b"0xab"]
)
def test_what_is_no_octets(value):
    with pytest.raises(MalformedAnswerError):
        read_octets(value)


def test_the_size_counts():
    with pytest.raises(MalformedAnswerError, match="2 bytes where 3 belong"):
        read_octets("0xabcd", 3)
    with pytest.raises(MalformedAnswerError):
        read_octets("0x" + "ab" * 1_048_577)


def test_tables_and_lists():
    assert read_table({"a": 1}) == {"a": 1}
    assert read_list([1]) == [1]
    for reader, value in ((read_table, [1]), (read_list, {"a": 1}), (read_list, "ab")):
        with pytest.raises(MalformedAnswerError):
            reader(value)


def test_a_header(chain):
    block = chain.methods.call("eth_getBlockByNumber", ["latest", False])
    head = chain.ledger.head.header
    assert Header.read(block) == Header(
        head.block_number,
        head.hash,
        head.parent_hash,
        head.timestamp,
        head.mix_hash,
        head.state_root,
    )


@pytest.mark.parametrize(
    "name", ["number", "hash", "parentHash", "timestamp", "mixHash", "stateRoot"]
)
@pytest.mark.parametrize("value", [None, 1, "0x", "0xzz"])
def test_a_header_with_one_bad_field(chain, name, value):
    block = chain.methods.call("eth_getBlockByNumber", ["latest", False])
    with pytest.raises(MalformedAnswerError):
        Header.read(block | {name: value})
