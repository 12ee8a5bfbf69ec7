"""Amounts in words."""

from typing import Final

_WEI: Final = 10**18


def ether(wei: int) -> str:
    """Return an amount of wei as people read it, exactly."""
    return f"{wei // _WEI}.{wei % _WEI:018d}".rstrip("0").rstrip(".") + " ether"
