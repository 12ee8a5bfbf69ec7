"""The local API of a daemon: HTTP for the programs of its owner (SPEC 17.7)."""
