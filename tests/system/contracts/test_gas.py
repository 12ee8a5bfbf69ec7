"""No change costs more than it may, and none costs another sum than the one that stands in git."""

import json

import pytest

from tests.system.contracts.toolchain import SNAPSHOTS, forge

MOST = {
    "IdentityRegistry": {
        "setIdentity, first": 95_000,
        "setIdentity, rotate": 42_000,
        "setIdentityFor, first": 127_000,
        "revokeBefore": 30_000,
    },
    "RelayRegistry": {
        "register, first ever": 200_000,
        "register, later in the epoch": 165_000,
        "register, first of an epoch": 195_000,
        "register, first of an epoch, new place": 195_000,
        "renew": 100_000,
        "renew with another signing key": 100_000,
    },
    "RendezvousBoard": {
        "commit, first": 60_000,
        "commit, later": 40_000,
        "postBatch": 50_000,
    },
}


@pytest.mark.parametrize("contract", MOST)
def test_nothing_costs_more_than_it_may(contract: str) -> None:
    costs = {k: int(v) for k, v in json.loads((SNAPSHOTS / f"{contract}.json").read_text()).items()}
    over = {name: costs[name] for name, most in MOST[contract].items() if costs[name] > most}
    assert over == {}


def test_the_snapshot_is_what_is_measured() -> None:
    said = forge(
        "test", "--gas-snapshot-check", "true", "--gas-snapshot-emit", "false", profile="gas"
    )
    assert "5 tests passed, 0 failed" in said.stdout
