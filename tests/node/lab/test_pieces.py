"""The parts of a private network by themselves: places, roots, programs, steps, homes, counting."""

import os
import random
import socket
import stat

import pytest
import trio

from peerstream.identity import Address
from peerstream.node.chain.devnet.accounts import DevAccount
from peerstream.node.config import committed_constants, load_network
from peerstream.node.lab import program
from peerstream.node.lab.channel import MESSAGE_MAX, Channel, encode, open_pair
from peerstream.node.lab.demo import ECHOES, hops_of, sha256_of
from peerstream.node.lab.errors import AlreadyRunningError, TooManyRelaysError
from peerstream.node.lab.home import fresh_run
from peerstream.node.lab.network import NetworkOptions, open_network
from peerstream.node.lab.places import RELAYS_MAX, free_endpoint, relay_address
from peerstream.node.lab.record import NetworkRecord
from peerstream.node.lab.roots import ProvenRelay, StaticRoot
from peerstream.node.lab.steps import SilentSteps, step
from peerstream.node.library.relay_identity import RelayIdentity
from peerstream.node.protocol.directory.static import SignedStaticFile
from peerstream.node.protocol.directory.subnets import subnets_of
from peerstream.node.store.errors import ForeignStateError

# Counting hops


def test_hops_are_the_relays_whose_counters_rose_by_all_echoes():
    assert hops_of([212, 0, 208, 209, 209, 12, 210, 208, 0], 2 * ECHOES) == (6, 6)
    assert hops_of([201, 202, 0, 90, 201], 2 * ECHOES) == (3, 3)
    assert hops_of([0] * 12, 2 * ECHOES) == (0, 0)


def test_a_relay_in_both_halves_is_two_hops():
    assert hops_of([416, 0, 208, 209, 210, 209], 2 * ECHOES) == (6, 5)
    assert hops_of([418, 414, 208, 209], 2 * ECHOES) == (6, 4)


def test_upkeep_and_padding_are_no_hop():
    noise = 2 * ECHOES - 1
    assert hops_of([noise, 2 * ECHOES + 1, 2 * ECHOES + 3], 2 * ECHOES) == (2, 2)


def test_a_file_is_hashed_from_the_disk(tmp_path):
    (tmp_path / "f").write_bytes(b"abc")
    assert sha256_of(tmp_path / "f").startswith("ba7816bf8f01cfea414140de5dae2223")


# Places


def test_every_relay_has_a_subnet_and_a_port_of_its_own():
    endpoints = [free_endpoint(relay_address(number)) for number in range(1, RELAYS_MAX + 1)]
    assert len(subnets_of(endpoints)) == RELAYS_MAX
    for endpoint in endpoints[:3]:
        with socket.socket() as listener:
            listener.bind((str(endpoint.address), endpoint.port))


@pytest.mark.parametrize("relays", [-1, 62])
async def test_more_relays_than_operators_are_refused(tmp_path, relays):
    options = NetworkOptions(directory=tmp_path, relays=relays)
    with pytest.raises(TooManyRelaysError):
        async with open_network(options, SilentSteps()):
            pass
    assert list(tmp_path.iterdir()) == []


# Roots


def proven(root, number):
    chance = random.Random(number)
    identity = RelayIdentity(chance.randbytes(32), chance.randbytes(32))
    operator = DevAccount(Address(chance.randbytes(20)), b"")
    return ProvenRelay(
        relay_id=identity.relay_id,
        sign_key=identity.sign_key.raw,
        possession=identity.prove(root.network_id, operator.address),
        endpoint=free_endpoint(relay_address(number)),
        operator=operator,
    )


async def test_a_static_root_signs_a_file_that_verifies(tmp_path):
    constants = committed_constants("devnet")
    root = StaticRoot(constants)
    relays = [proven(root, number) for number in range(1, 6)]
    rooted = await root.begin(relays, tmp_path)
    parameters = load_network(rooted.network_file)
    assert parameters == rooted.parameters
    assert parameters.network_id == root.network_id
    assert len(parameters.bootstrap) == 4
    assert rooted.static_file is not None
    signed = SignedStaticFile.decode(rooted.static_file.read_bytes())
    found = signed.verify(
        parameters.static_signer,
        parameters.network_id,
        parameters_hash=parameters.parameters_hash,
        wall=signed.file.not_before + 3_600,
    )
    view = signed.view(parameters.network_id)
    assert [relay.entry.relay_id for relay in found.relays] == [r.relay_id for r in relays]
    assert (len(view.relays), view.unproven) == (5, ())
    for path in (rooted.network_file, rooted.static_file):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


# Channels and programs


async def test_a_message_comes_whole_or_is_refused():
    ours, theirs = map(Channel, open_pair())
    message = {"event": "x", "text": "é" * 9_000}
    await ours.tell(message)
    assert await theirs.hear() == message
    with pytest.raises(ValueError, match="a message of"):
        encode({"text": "x" * MESSAGE_MAX})
    ours.close()
    assert await theirs.hear() is None
    await theirs.tell(message)  # nobody is there to miss it
    theirs.close()


def test_a_program_that_fails_tells_which_error_it_was(capfd):
    async def main(_channel, options):
        async with trio.open_nursery():
            raise ZeroDivisionError(options["why"])

    async def heard():
        return await Channel(ours).hear()

    ours, theirs = open_pair()
    assert program.run_program(theirs, {"why": "because"}, main) == 1
    wanted = {"event": "failed", "name": "ZeroDivisionError", "message": "because"}
    assert trio.run(heard) == wanted
    assert "Traceback" in capfd.readouterr().err  # which is the process's log
    ours.close()


# Steps


def test_a_step_has_its_result_and_its_seconds():
    steps, times = SilentSteps(), iter([10.0, 12.5])
    with step(steps, "begin", clock=lambda: next(times)) as shown:
        shown.result = "done"
    assert steps.taken == [("done", 2.5)]
    with pytest.raises(ZeroDivisionError), step(steps, "fails"):
        raise ZeroDivisionError
    assert len(steps.taken) == 1


# Homes


def test_a_home_has_one_network_at_a_time(tmp_path):
    home = tmp_path / "home"
    with fresh_run(home) as run:
        (run / "left-behind").touch()
        assert stat.S_IMODE(run.stat().st_mode) == 0o700
    with fresh_run(home) as run:
        assert list(run.iterdir()) == []
        (run / "mine").touch()
    pid = os.getpid()
    NetworkRecord.of(pid, [pid], {}).save(home)
    with pytest.raises(AlreadyRunningError), fresh_run(home):
        pass
    assert (home / "run" / "mine").exists()


def test_a_directory_of_something_else_is_left_alone(tmp_path):
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / "run").mkdir()
    (home / "run" / "thesis").touch()
    with pytest.raises(ForeignStateError), fresh_run(home):
        pass
    assert (home / "run" / "thesis").exists()
