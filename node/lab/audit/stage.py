"""The private network that scenarios play on: every process recorded, guards apart (SPEC 15.1)."""

import json
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

from peerstream.identity.blinding import blind_public
from peerstream.node.chain.devnet.accounts import dev_accounts
from peerstream.node.lab.audit.facts import PARTIES, Fact
from peerstream.node.lab.audit.places import FORKSERVER, PLAN
from peerstream.node.lab.network import NetworkOptions, PrivateNetwork, open_network
from peerstream.node.lab.parting import parted_guards
from peerstream.node.lab.places import CALLEE, CALLER
from peerstream.node.lab.processes import LabProcess
from peerstream.node.lab.steps import Steps, step
from peerstream.node.protocol.directory.guards import GuardState

ADDRESSES: Final = {"caller": CALLER, "callee": CALLEE}
ACCOUNTS: Final = {"caller": -1, "callee": -2}  # of the devnet's; the first ones operate relays
FILE_BYTES: Final = 262_144
_MARKER: Final = 32
_MARKER_EVERY: Final = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class StageOptions:
    """What to start. directory: an empty one of mode 0700. plant: the layer of a planted leak.

    shared_guard: give both parties the same guards, as chance may.
    """

    directory: Path
    relays: int
    level: int
    seed: int
    plant: str | None = None
    shared_guard: bool = False

    @property
    def records(self) -> Path:
        """Where each process leaves its records."""
        return self.directory / "records"


@dataclass(slots=True)
class Stage:
    """A network that runs, and what was learned of it.

    guards: the state that each party begins with. values: what else than its IP names a party.
    """

    options: StageOptions
    network: PrivateNetwork
    parties: dict[str, LabProcess]
    guards: dict[str, GuardState]
    values: list[tuple[Fact, bytes]]
    file: Path
    steps: Steps

    @property
    def level(self) -> int:
        """The level that is played."""
        return self.options.level

    @property
    def whom(self) -> dict[str, Any]:
        """The callee's address and the level, as the caller's process wants them."""
        return {"address": account_of("callee"), "level": self.level}

    @property
    def first_hops(self) -> set[bytes]:
        """The relay_ids of the guards that the parties use at this level while these live."""
        return {state.guard(self.level) for state in self.guards.values()}


def account_of(party: str) -> str:
    """Return the Ethereum address of a party."""
    return str(dev_accounts()[ACCOUNTS[party]].address)


def guards_of(state: GuardState) -> frozenset[bytes]:
    """Return the relay_ids that may be guards of a party, the backups among them."""
    return frozenset(term.relay_id for term in (*state.guards, *state.live_guards))


@asynccontextmanager
async def open_stage(options: StageOptions, steps: Steps) -> AsyncIterator[Stage]:
    """Start the network and both parties; nobody has published or dialled yet.

    Raises LabError, ChainError, StoreError, as subclasses.
    """
    options.records.mkdir(mode=0o700)
    plan = {
        "plant": options.plant,
        "parties": {
            party: {"ip": ADDRESSES[party], "address": account_of(party)} for party in PARTIES
        },
    }
    (options.records / PLAN).write_text(json.dumps(plan))
    run = options.directory / "run"
    run.mkdir(mode=0o700)
    server = (FORKSERVER, str(options.records))
    settings = NetworkOptions(directory=run, relays=options.relays, server=server)
    async with open_network(settings, steps) as network:
        yield await _people(options, network, steps)


async def _people(options: StageOptions, network: PrivateNetwork, steps: Steps) -> Stage:
    file, marker = _write_file(options)
    values = [(Fact("content", "file"), marker), (Fact("content", "file-name"), file.name.encode())]
    parties = {}
    with step(steps, "two wallets, two identities") as shown:
        for party in PARTIES:
            process = parties[party] = await _fork(options, network, party)
            said = await process.event("identity")
            values += _values_of(party, said, network.rooted.parameters.period)
            if party == "callee":
                account = dev_accounts()[ACCOUNTS[party]]
                await network.list_identities([(account, bytes.fromhex(said["identity_key"]))])
        for process in parties.values():
            await process.tell({"do": "open"})
        for process in parties.values():
            await process.event("open")
        shown.result = "two wallets, two identities; the callee's is listed"
    guards = {party: _guards(options, network, party) for party in PARTIES}
    return Stage(options, network, parties, guards, values, file, steps)


async def _fork(options: StageOptions, network: PrivateNetwork, party: str) -> LabProcess:
    return await network.fork_party(
        party,
        {
            "state": str(network.options.directory / party),
            "party": _half(options, party),
            "account": ACCOUNTS[party],
            "source_address": ADDRESSES[party],
            "listed": party == "callee",
        },
    )


def _half(options: StageOptions, party: str) -> int:
    return 0 if options.shared_guard else PARTIES.index(party)


def _guards(options: StageOptions, network: PrivateNetwork, party: str) -> GuardState:
    relay_ids = [relay.proven.relay_id for relay in network.relays]
    network_id = network.rooted.parameters.network_id
    state = parted_guards(network_id, relay_ids, _half(options, party), 0)
    if state is None:
        raise ValueError(f"{len(relay_ids)} relays are too few to part")
    return state


def _values_of(
    party: str, said: Mapping[str, Any], period: Callable[[int], int]
) -> list[tuple[Fact, bytes]]:
    """Return what names a party: address, identity key, device keys, and its blinded keys."""
    identity_key = bytes.fromhex(said["identity_key"])
    found = [
        (Fact("address", party), bytes.fromhex(said["account"][2:])),
        (Fact("key", f"{party}.identity"), identity_key),
    ]
    found += [(Fact("key", f"{party}.device"), bytes.fromhex(key)) for key in said["device_keys"]]
    if party == "callee":  # the caller publishes nothing, so it has no blinded key in use
        present = period(int(time.time()))
        found += [
            (Fact("key", f"{party}.blinded"), blind_public(identity_key, number))
            for number in (present - 1, present, present + 1)
        ]
    return found


def _write_file(options: StageOptions) -> tuple[Path, bytes]:
    """Write a file in which each piece of it can be recognised; return it and its marker."""
    random = Random(options.seed)  # noqa: S311 - to repeat a run
    marker = os.urandom(_MARKER)
    size = _MARKER_EVERY - _MARKER
    content = b"".join(marker + random.randbytes(size) for _ in range(FILE_BYTES // _MARKER_EVERY))
    file = options.directory / f"audit-{random.randbytes(8).hex()}.bin"
    file.write_bytes(content)
    return file, marker
