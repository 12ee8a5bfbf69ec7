"""What goes wrong when a process is put together, without the modules that do it."""


class NoSourceError(Exception):
    """The network cannot be read here: give what the message names, or RPC endpoints."""
