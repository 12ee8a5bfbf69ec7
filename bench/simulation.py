"""A network of a thousand relays under a crowd and over 90 days: docs/simulation.md and its plots.

    python bench/simulation.py [--relays N] [--circuits N] [--nodes N] [--days N] [--seed N]

Takes a minute on one core. Prints one JSON object; --page writes the page, too.
"""

import argparse
import json
import random
import time
from pathlib import Path

from simulation_page import write_page

from peerstream.node.lab.simulation.crowd import Crowd, records_by_store
from peerstream.node.lab.simulation.exposure import expose
from peerstream.node.lab.simulation.relays import (
    MAIN,
    START,
    adversaries,
    download,
    make_directory,
    make_relays,
    renew_addresses,
    update,
)

SHARES = (0.01, 0.05, 0.10)
HOURS = 5
FETCH_S = MAIN.epoch_s / 12  # from one fetch of a client to the next (SPEC 10.5)
RENEWAL_S = MAIN.address_life_s / 3  # from one address record of a relay to the next
DOCS = Path(__file__).parent.parent / "docs"


def spread(values):
    """Quantiles of a list, in its own unit."""
    ordered = sorted(values)
    at = {"p1": 0.01, "p50": 0.5, "p99": 0.99}
    quantiles = {name: ordered[int(part * (len(ordered) - 1))] for name, part in at.items()}
    return {key: round(value, 3) for key, value in quantiles.items()} | {
        "max": round(ordered[-1], 3)
    }


def relative(load, candidates):
    """The share of the circuits that each relay carries, by its share of the weight."""
    weights, circuits = (sum(each.values()) for each in (weight_of(candidates), load))
    return [
        load[key] / circuits / (weight / weights) for key, weight in weight_of(candidates).items()
    ]


def weight_of(candidates):
    return {key: candidate.weight for key, candidate in candidates.items()}


def simulate(options):
    """Figures, and what the plots are made of."""
    source = random.Random(options.seed)  # noqa: S311 - to be played again
    relays = make_relays(options.relays, source)
    served = make_directory(relays)
    directory, received = download(relays, served)
    renewed = relays[: round(options.relays * FETCH_S / RENEWAL_S)]
    renew_addresses(renewed, served, START + 60)
    later = update(directory, served)
    crowd = Crowd(
        directory, source, callers=2 * options.relays, callees=max(1, options.relays // 2)
    )
    load = crowd.run(options.circuits, HOURS * 3_600)
    candidates = directory.candidates(START)
    by_place = {
        place: relative(counts, candidates) for place, counts in sorted(load.places.items())
    }
    carried = relative(load.total(), candidates)
    kept = records_by_store(crowd.ring, 100 * options.relays, source)
    mean = sum(kept.values()) / options.relays
    records = [kept[key] / mean for key in candidates]
    held = adversaries(candidates, SHARES, source)
    members = options.relays * 9 // 10
    exposed = expose(
        candidates, held, source, nodes=options.nodes, days=options.days, members=members
    )
    figures = {
        "seed": options.seed,
        "relays": options.relays,
        "circuits": load.circuits,
        "dials": load.dials,
        "nodes": options.nodes,
        "days": options.days,
        "directory_bytes": received,
        "update_bytes": {"received": later[0], "sent": later[1], "renewed": len(renewed)},
        "load": {"all": spread(carried)} | {k: spread(v) for k, v in by_place.items()},
        "records": spread(records),
        "exposure": {
            str(share): {
                "guard": each.guard[-1],
                "both": each.both[-1],
                "guard_first_day": each.guard[0],
            }
            for share, each in exposed.items()
        },
    }
    return figures, (carried, records, exposed)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--relays", type=int, default=1_000)
    parser.add_argument("--circuits", type=int, default=100_000)
    parser.add_argument("--nodes", type=int, default=400, help="that live for 90 days")
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--seed", type=int, default=20_261_126)
    parser.add_argument("--page", action="store_true", help="write docs/simulation.md")
    options = parser.parse_args()
    started = time.process_time()
    figures, drawn = simulate(options)
    figures["cpu_s"] = round(time.process_time() - started, 1)
    if options.page:
        write_page(DOCS, figures, drawn)
    print(json.dumps(figures, indent=2))


main()
