"""What `psp chaos` prints of its runs, and when it calls them good."""

import pytest

from peerstream.node.cli import chaos
from peerstream.node.cli.report import Report
from peerstream.node.lab.chaos import Outcome
from peerstream.node.lab.faults import KINDS, Fault, plan_faults
from tests.node.cli.shapes import require_shape

KILL, FREEZE = Fault("kill", "rendezvous point", 0.5), Fault("freeze", "callee's guard", 0.2)


def outcome(fault=KILL, stall=0.1, **changes):
    found = {
        "at_s": 1.0, "finished": True, "sha256_ok": True, "stall_s": stall, "seconds": 2.0,
        **changes,
    }  # fmt: skip
    return Outcome(fault, "relay-03", **found)


def values_of(*outcomes, left=0):
    plan = chaos._Plan(plan_faults(len(outcomes), 2, KINDS, 1), 2, 1_000, 7, None)
    return chaos._values(list(outcomes), plan, 16, "anonymous", left)


def test_the_shape_and_the_sums():
    lost = outcome(FREEZE, None, finished=False, sha256_ok=False, seconds=None, error="late")
    spoilt = outcome(sha256_ok=False)
    found = values_of(outcome(), outcome(FREEZE, 1.5), outcome(stall=0.3), lost, spoilt)
    require_shape({"schema": chaos.SCHEMA, "ok": False, **found})
    assert found["transfers"] == {"started": 5, "finished": 4, "failed": 1}
    assert found["bytes"] == {"acknowledged": 4_000, "lost": 1_000}
    assert found["stall_s"] == {"p50": 0.3, "max_kill": 0.3, "max_freeze": 1.5}
    assert found["sha256_mismatches"] == 1
    assert found["events"][3]["error"] == "late"
    assert not chaos._is_good(found)


@pytest.mark.parametrize(
    ("outcomes", "left", "good"),
    [
        ([outcome(), outcome(FREEZE, 5.9)], 0, False),  # the median
        ([outcome(), outcome(), outcome(FREEZE, 5.9)], 0, True),
        ([outcome(), outcome(), outcome(FREEZE, 6.0)], 0, False),
        ([outcome(), outcome(), outcome(KILL, 3.0)], 0, False),
        ([outcome()], 1, False),
        ([outcome(finished=False)], 0, False),
    ],
)
def test_what_is_good(outcomes, left, good):
    assert chaos._is_good(values_of(*outcomes, left=left)) is good


def test_people_see_a_table(capsys):
    from rich.console import Console  # noqa: PLC0415 - only for people

    found = values_of(outcome(), outcome(FREEZE, None, finished=False, seconds=None))
    report = Report(chaos.SCHEMA, found, lambda target: chaos._show(target, found))
    report.show(Console(width=100))
    shown = capsys.readouterr().out
    for text in ("Seed 7", "rendezvous point", "relay-03", "1 of 2 files arrived", "p50 0.10 s"):
        assert text in shown
