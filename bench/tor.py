"""A private Tor network on this machine, measured alone: three authorities, nine relays, a client.

    python bench/tor.py [--profile public|vanilla|both] [--quick]

The same applications and figures as `psp bench onion`, which measures Tor beside our own network.
Needs Debian's `tor`; nothing leaves the loopback interface. Prints one JSON object.
"""

import argparse
import json
import tempfile
from pathlib import Path

import trio

from peerstream.node.cli.progress import drawn_steps
from peerstream.node.lab.bench.comparison import Options, compare
from peerstream.node.lab.bench.rounds import QUICK, Plan
from peerstream.node.lab.bench.tor_config import PROFILES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", choices=[*PROFILES, "both"], default="public")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    profiles = tuple(one for one in PROFILES if arguments.profile in (one, "both"))
    plan = QUICK if arguments.quick else Plan()
    with tempfile.TemporaryDirectory(prefix="psp-bench-") as home, drawn_steps() as steps:
        options = Options(Path(home), plan, ours=False, profiles=profiles)
        print(json.dumps(trio.run(compare, options, steps), indent=2))


if __name__ == "__main__":
    main()
