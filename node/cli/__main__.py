"""``python -m peerstream.node.cli``: the same as `psp`."""

import sys

from peerstream.node.cli import main

if __name__ == "__main__":
    sys.exit(main())
