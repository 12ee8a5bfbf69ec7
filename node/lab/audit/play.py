"""Plays scenarios on a stage and returns where its processes wrote what they held (SPEC 15.1)."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import trio

from peerstream.node.lab.audit.facts import PARTIES, Known
from peerstream.node.lab.audit.places import records_path
from peerstream.node.lab.audit.scenarios import FIRST, SCENARIOS, ScenarioFailedError
from peerstream.node.lab.audit.stage import ADDRESSES, Stage, StageOptions, guards_of, open_stage
from peerstream.node.lab.audit.view import Source
from peerstream.node.lab.steps import Steps, step

PLAY_S: Final = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """A run that is over. scenes: name and beginning of each, by the machine's clock.

    guards: by party, the relay processes that it may use as guards. rpc: host and port of the
    chain's endpoint.
    """

    options: StageOptions
    scenes: Sequence[tuple[str, float]]
    known: Known
    sources: Sequence[Source]
    guards: dict[str, frozenset[str]]
    rpc: tuple[str, int]

    def scene_at(self, at: float) -> str:
        """Return which scenario was played at this moment."""
        return next((name for name, began in reversed(self.scenes) if began <= at), "start")


def chosen(names: Sequence[str]) -> list[str]:
    """Return these scenarios in the order in which they are played; all of them for none."""
    wanted = {FIRST, *names} if names else set(SCENARIOS)
    return [name for name in SCENARIOS if name in wanted]


async def play(options: StageOptions, names: Sequence[str], steps: Steps) -> Played:
    """Start a network, play scenarios on it, and end it.

    Raises LabError, ChainError, StoreError, as subclasses; ScenarioFailedError when one hangs.
    """
    scenes: list[tuple[str, float]] = []
    async with open_stage(options, steps) as stage:
        for name in chosen(names):
            scenes.append((name, time.monotonic()))
            with step(steps, name), trio.move_on_after(PLAY_S) as scope:
                await SCENARIOS[name](stage)
            if scope.cancelled_caught:
                raise ScenarioFailedError(f"{name} was not over after {PLAY_S:.0f} s")
    return _played(options, stage, scenes)


def _played(options: StageOptions, stage: Stage, scenes: Sequence[tuple[str, float]]) -> Played:
    network = stage.network
    run = network.options.directory
    relays = {relay.process.name: relay.proven for relay in network.relays}
    places = [(name, "relay", str(proven.endpoint.address)) for name, proven in relays.items()]
    places += [(party, party, ADDRESSES[party]) for party in PARTIES]
    url = urlsplit(str((network.chain or {})["rpc_url"]))
    return Played(
        options=options,
        scenes=scenes,
        known=Known.of(ADDRESSES, stage.values),
        sources=[
            Source(
                *place,
                records=records_path(options.records, place[0]),
                log=run / "logs" / f"{place[0]}.log",
                files=run / place[0],
            )
            for place in places
        ],
        guards={
            party: frozenset(
                n for n, proven in relays.items() if proven.relay_id in guards_of(state)
            )
            for party, state in stage.guards.items()
        },
        rpc=(str(url.hostname), int(url.port or 0)),
    )
