"""docs/simulation.md and its plots, from what bench/simulation.py found."""

from peerstream.node.config import committed_constants
from peerstream.node.lab.simulation.plots import curves, histogram

MAIN = committed_constants("main")
FETCHES = 13  # of an epoch, by one client (SPEC 10.5)
PAGE = """\
# A thousand relays

`make prove-simulation` makes this page: choices of a network with the parameters of `main`, under a
simulated clock. Directory, weights, rings, guards and paths are the code that nodes run; circuits
are counted and not opened, and nothing here says how fast anything is. Seed {seed}, {cpu_s} s of
CPU. {relays} relays of as many operators with bonds of 1 to 5; {callers} callers and {callees}
callees, the first of which are called most (Zipf).

## Load

{circuits} circuits in five hours, of them {dials} dials of four. *Share of circuits by share of
weight* is 1 for a relay that carries exactly what its bond stands for.

![How many relays carry how much of what their weight stands for](simulation-load.svg)

| place | 1 of 100 below | median | 99 of 100 below | most |
|---|---|---|---|---|
{load}
Rendezvous points and middles are drawn anew for each circuit and lie close to 1. A relay is guard
or vanguard of a few nodes for weeks, so what it carries there is what these few do. Introduction
points and stores belong to callees, and a few callees get most calls: the largest figures are
relays that serve the first of them. Stores are chosen by a hash and not by weight.

## Records

Each record lies at {stores} stores at most, {replicas} places of the ring and the next relays of
each. With {records} records:

![How many relays keep how many records, by the mean](simulation-records.svg)

The relay that keeps most has {records_max} times the mean, one of a hundred less than {records_p1}
of it. That is what a ring gives in which each relay has one place: the gaps between places are
exponential. A store takes 64 MiB of documents, 4 096 records of the largest kind; with this spread
{relays} relays keep {capacity} records before the first of them is full.

## Directory

A client that knows nothing receives **{directory_mb} MB**: descriptors of {relays} relays and their
addresses, in pages. It asks {fetches} times an epoch of six hours, and names what it has, in
{sent_kb} KB; when {renewed} relays signed their addresses anew meanwhile, it receives
{update_kb} KB. With all descriptors new in each epoch that is **{day_mb} MB a day** down and
{up_mb} up; without naming what it has it would be {naive_mb} MB.

## Exposure

What an adversary with 1, 5 or 10 % of the weight sees of {nodes} nodes in {days} days, while 0.3 %
of the relays leave each day and others come. Solid: nodes that have used a guard of it, which
learns that they are here and when. Dashed: nodes whose guard and one of whose vanguards were its at
the same time.

![Share of nodes that used a guard of the adversary, by day](simulation-exposure.svg)

| share of the weight | guard, first day | guard, after {days} days | guard and vanguard |
|---|---|---|---|
{exposure}
The first guard is met with the adversary's share. It stays for 60 to 120 days, so little changes
before day 60; with a guard drawn for each circuit nearly all nodes would have met one within a day.
Of four vanguards each stays for days, so that behind nearly every guard of a large adversary one of
its vanguards stands in time: a guard should be taken to know the second hop's neighbours. That one
adversary has the guards of *both* sides of a call is the product, {product} at 10 % after {days}
days.
"""


def write_page(docs, figures, drawn):
    """Write the page and its three plots."""
    carried, records, exposed = drawn
    plots = {
        "load": histogram(
            "Relays by their load",
            ("share of circuits / share of weight", "relays"),
            carried,
            40,
        ),
        "records": histogram("Stores by what they keep", ("records / mean", "relays"), records, 40),
        "exposure": curves(
            "Nodes that used a guard of the adversary (dashed: and a vanguard)",
            ("days", "% of nodes"),
            {
                f"{share:.0%} of the weight": (percent(each.guard), percent(each.both))
                for share, each in exposed.items()
            },
        ),
    }
    for name, svg in plots.items():
        (docs / f"simulation-{name}.svg").write_text(svg, "utf-8")
    (docs / "simulation.md").write_text(PAGE.format(**values(figures)), "utf-8")


def percent(shares):
    return [100 * share for share in shares]


def values(figures):
    """What stands in the page."""
    relays, received = figures["relays"], figures["directory_bytes"]
    update = figures["update_bytes"]
    last = max(figures["exposure"], key=float)
    days_epochs = 86_400 // MAIN.epoch_s
    kept = MAIN.replicas * MAIN.stores
    most = figures["records"]["max"]
    return figures | {
        "callers": 2 * relays,
        "callees": relays // 2,
        "load": "".join(map(row, figures["load"].items())),
        "stores": kept,
        "replicas": MAIN.replicas,
        "records": 100 * relays,
        "records_max": most,
        "records_p1": figures["records"]["p1"],
        "capacity": f"{round(4_096 * relays / most / kept, -3):,.0f}".replace(",", " "),
        "directory_mb": f"{received / 1e6:.2f}",
        "fetches": FETCHES,
        "renewed": update["renewed"],
        "sent_kb": f"{update['sent'] / 1e3:.0f}",
        "update_kb": f"{update['received'] / 1e3:.0f}",
        "day_mb": f"{(received + update['received'] * (FETCHES - 1)) * days_epochs / 1e6:.1f}",
        "up_mb": f"{update['sent'] * FETCHES * days_epochs / 1e6:.1f}",
        "naive_mb": f"{received * FETCHES * days_epochs / 1e6:.0f}",
        "exposure": "".join(map(exposure_row, figures["exposure"].items())),
        "product": f"{figures['exposure'][last]['guard'] ** 2:.1%}",
    }


def row(item):
    place, spread = item
    cells = [place, *(f"{spread[key]:.2f}" for key in ("p1", "p50", "p99", "max"))]
    return "| " + " | ".join(cells) + " |\n"


def exposure_row(item):
    share, seen = item
    cells = [f"{float(share):.0%}"]
    cells += [f"{seen[key]:.1%}" for key in ("guard_first_day", "guard", "both")]
    return "| " + " | ".join(cells) + " |\n"
