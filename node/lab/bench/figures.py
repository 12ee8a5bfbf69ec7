"""Figures from rounds: medians, ratios, what `psp bench onion --json` prints.

Every figure is the median of what the rounds found; a percentile is taken within each round first.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any, Final

from peerstream.node.lab.bench.meter import Memory
from peerstream.node.lab.bench.rounds import DIRECTIONS, Plan, Round
from peerstream.node.lab.bench.subject import Subject
from peerstream.node.services.ping import RoundTrips

MANY: Final = 16  # the flows that CPU per MB is given for
_KINDS: Final = 5
Found = dict[str, Any]
# Where a smaller figure is the better one, the ratio is Tor's through ours, otherwise the reverse.
_SMALLER: Final = {
    "cold_dial_p50": ("cold_dial_ms", "p50"),
    "cold_dial_p90": ("cold_dial_ms", "p90"),
    "further_stream_p50": ("further_stream_ms", "p50"),
    "echo_p50": ("echo_ms", "p50"),
    "echo_p99": ("echo_ms", "p99"),
    "cpu_per_mb": ("cpu_ms_per_mb", "all"),
    "cpu_per_dial": ("dials", "cpu_ms_each"),
}
_LARGER: Final = {
    **{
        f"{direction}_{flows}": ("mb_s", direction, str(flows))
        for direction in DIRECTIONS
        for flows in (1, 4, 16)
    },
    "dials_per_s": ("dials", "per_s"),
}


def describe(
    subject: Subject, plan: Plan, rounds: Sequence[Round], memory: Mapping[str, Mapping[str, Any]]
) -> Found:
    """Return what `systems` holds of one network. memory: by moment, as `memory_by_role` gives."""
    return {
        "name": subject.name,
        "profile": subject.profile,
        "version": subject.version,
        "relays": len(subject.roles["relay"]),
        "rounds": len(rounds),
        "ready_s": round(subject.ready_s, 1),
        "cold_dial_ms": _latency([each.cold for each in rounds], 50, 90, 99),
        "further_stream_ms": _latency([each.further for each in rounds], 50, 90, 99),
        "echo_ms": _latency([each.echo for each in rounds], 50, 90, 99),
        "echo_rested_ms": _latency([each.rested for each in rounds], 50, 90),
        "mb_s": {
            direction: {str(flows): _rate(rounds, direction, flows) for flows in plan.megabytes}
            for direction in DIRECTIONS
        },
        "cpu_ms_per_mb": _cpu(rounds, MANY),
        "cpu_ms_per_mb_by_flows": {str(flows): _cpu(rounds, flows) for flows in plan.megabytes},
        **memory,
        "dials": _dials(rounds, plan.at_once),
        "other_cores": _median(t.others for each in rounds for t in each.transfers.values()),
        "load": [round(each.load, 2) for each in rounds],
        "failures": dict(Counter(f for each in rounds for f in each.failures).most_common(_KINDS)),
    }


def memory_by_role(memory: Mapping[str, Sequence[Memory]]) -> dict[str, Found]:
    """Return `rss_mb` and `pss_mb` of the median relay, the client and the callee."""
    names = {"relay": "relay", "client": "caller", "callee": "callee"}
    return {
        "rss_mb": {k: _median(m.resident for m in memory[role]) for k, role in names.items()},
        "pss_mb": {k: _median(m.proportional for m in memory[role]) for k, role in names.items()},
    }


def ratios(ours: Found, theirs: Found) -> Found:
    """Return how many times better ours is, by figure; None where one of the two is missing."""
    smaller = {name: _ratio(_at(theirs, at), _at(ours, at)) for name, at in _SMALLER.items()}
    larger = {name: _ratio(_at(ours, at), _at(theirs, at)) for name, at in _LARGER.items()}
    return {**smaller, **larger}


def _latency(rounds: Sequence[Sequence[float]], *percents: int) -> Found:
    full = [RoundTrips(times) for times in rounds if times]
    found: Found = {"n": sum(len(times) for times in rounds)}
    for percent in percents:
        found[f"p{percent}"] = _median(times.percentile(percent) * 1e3 for times in full)
    return found


def _rate(rounds: Iterable[Round], direction: str, flows: int) -> float | None:
    found = [each.transfers.get((direction, flows)) for each in rounds]
    return _median(each.mb_s for each in found if each is not None)


def _cpu(rounds: Iterable[Round], flows: int) -> Found:
    """Return CPU milliseconds per MB by role, both directions alike."""
    found = [
        each.transfers[direction, flows].cpu
        for each in rounds
        for direction in DIRECTIONS
        if (direction, flows) in each.transfers
    ]
    return {role: _median(cpu[role] for cpu in found) for role in _ROLES}


_ROLES: Final = ("all", "relay", "caller", "callee")


def _dials(rounds: Iterable[Round], at_once: int) -> Found:
    found = [each.dials for each in rounds if each.dials is not None]
    worked = [each for each in found if each.seconds]
    return {
        "n": sum(each.n for each in found),
        "at_once": at_once,
        "failed": sum(each.failed for each in found),
        "per_s": _median(each.per_s for each in found),
        "cpu_ms_each": _median(each.cpu_ms["all"] for each in worked),
        "cpu_ms_by_role": {role: _median(each.cpu_ms[role] for each in worked) for role in _ROLES},
        "ms": _latency([each.seconds for each in worked], 50, 99),
    }


def _median(values: Iterable[float]) -> float | None:
    found = list(values)
    return round(median(found), 3) if found else None


def _at(found: Found, names: Sequence[str]) -> float | None:
    value: Any = found
    for name in names:
        value = value.get(name)
    return None if value is None else float(value)


def _ratio(above: float | None, below: float | None) -> float | None:
    return None if above is None or not below else round(above / below, 2)
