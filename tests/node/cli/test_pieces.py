"""Targets, steps on a terminal and elsewhere, commands that go on until Ctrl-C."""

import io
import os
import signal

import pytest
import trio
from rich.console import Console

from peerstream.identity import Address, ContactCard, IdentityKey
from peerstream.node.cli import levels
from peerstream.node.cli.errors import BadAddressError
from peerstream.node.cli.exits import Exit
from peerstream.node.cli.nodes import Wish
from peerstream.node.cli.progress import DrawnSteps
from peerstream.node.cli.signals import until_interrupted
from peerstream.node.cli.targets import parse_target
from peerstream.node.lab.demo import LEVELS
from peerstream.node.roles.client import HOPS
from tests.node.cli.conftest import ACCOUNT
from tests.node.cli.shapes import require_failure, require_shape

SECRET = b"\x05" * 32
CARD = ContactCard(Address.parse(ACCOUNT), IdentityKey.from_bytes(b"\x03" * 32).public, SECRET)


def test_a_target_is_an_address_or_a_card():
    assert parse_target(ACCOUNT) == Address.parse(ACCOUNT)
    assert parse_target(str(CARD)) == CARD
    assert Wish.of(str(CARD), 2).address == ACCOUNT


@pytest.mark.parametrize(
    "text", ["", "0x", ACCOUNT[:-1], ACCOUNT[:-1] + "B", str(CARD) + "0", str(CARD).upper(), "psp:"]
)
def test_other_targets_are_refused_without_repeating_them(text):
    with pytest.raises(BadAddressError) as caught:
        parse_target(text)
    assert SECRET.hex() not in f"{caught.value} {caught.value.__cause__}"
    assert caught.value.__cause__ is None


def test_a_wish_does_not_show_the_secret_of_its_card():
    assert SECRET.hex() not in repr(Wish.of(str(CARD), 2))


def test_levels_agree_with_those_of_the_roles():
    assert levels.RELAYS == HOPS
    assert levels.LEVELS == LEVELS


def drawn(*, terminal):
    target = Console(file=io.StringIO(), force_terminal=terminal, width=100, _environ={})
    return DrawnSteps(target), target.file


def test_without_a_terminal_each_step_is_a_line_once_it_is_done():
    steps, file = drawn(terminal=False)
    steps.begin("a chain")
    steps.transferred(1, 2)
    assert file.getvalue() == ""
    steps.done("a chain with 3 contracts", 1.5)
    assert file.getvalue().split() == ["✓", "a", "chain", "with", "3", "contracts", "1.50", "s"]


def test_on_a_terminal_the_spinner_and_the_bar_go_away():
    steps, file = drawn(terminal=True)
    steps.begin("send x")
    steps.transferred(1, 2)
    assert "send x" in file.getvalue()
    steps.done("sent x", 0.25)
    steps.close()
    assert file.getvalue().count("\x1b[?25l") == file.getvalue().count("\x1b[?25h")


@pytest.mark.parametrize("terminal", [True, False])
def test_names_of_strangers_are_shown_as_text(terminal):
    steps, file = drawn(terminal=terminal)
    hostile = "\x1b]0;owned\x07[bold]x[/nonsense]\n"
    steps.begin(hostile)
    steps.transferred(1, 2)
    steps.note(hostile)
    steps.done(hostile, 1.0)
    assert "\x1b]0" not in file.getvalue()
    assert "\x07" not in file.getvalue()
    assert file.getvalue().count("[bold]x[/nonsense]") >= 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_what_goes_on(number):
    ended = trio.Event()

    async def forever(word):
        assert word == "word"
        try:
            os.kill(os.getpid(), number)
            await trio.sleep_forever()
        finally:
            ended.set()

    assert await until_interrupted(forever, "word") is Exit.INTERRUPTED
    assert ended.is_set()


async def test_what_ends_by_itself_is_ok():
    async def once():
        await trio.lowlevel.checkpoint()

    assert await until_interrupted(once) is Exit.OK


def test_a_devnet_that_does_not_run(psp, tmp_path):
    done = psp("devnet", "status", "--state-dir", tmp_path / "none", "--json")
    assert done.code == 3
    require_shape(done.json)
    assert (done.json["ok"], done.json["running"]) == (False, False)
    require_failure(
        psp("devnet", "down", "--state-dir", tmp_path, "--json").json,
        "psp.devnet/1",
        "NotRunningError",
    )
