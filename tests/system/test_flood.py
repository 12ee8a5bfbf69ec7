"""A small flood of a relay: real processes, garbage, half-open connections, a newcomer."""

import trio

from peerstream.node.lab.flood.measure import ATTACKERS, flood_relay
from peerstream.node.lab.home import fresh_run
from peerstream.node.lab.network import NetworkOptions, open_network
from peerstream.node.lab.steps import SilentSteps

GARBAGE, HALF_OPEN = 800, 100
LIMIT_S = 240  # against hanging
KEPT_MIN = 0.1  # 0.8 is what `make prove-flood` asks for, on cores that do nothing else


async def test_circuits_go_on_and_a_newcomer_is_served(tmp_path):
    with fresh_run(tmp_path) as run, trio.fail_after(LIMIT_S):
        options = NetworkOptions(directory=run, relays=12, source="static")
        async with open_network(options, SilentSteps()) as network:
            found = await flood_relay(network, GARBAGE, HALF_OPEN, 1, SilentSteps())
    assert found.sent == GARBAGE
    assert found.links >= ATTACKERS
    assert found.newcomer_ms
    assert found.turned_away == 0
    assert found.flood
    assert found.kept > KEPT_MIN
