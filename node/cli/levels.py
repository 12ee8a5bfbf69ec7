"""The two levels of privacy by the names that users know (SPEC 13.3)."""

from typing import Annotated, Final, Literal

from cyclopts import Parameter

LEVELS: Final = {"private": 1, "anonymous": 2}
NAMES: Final = {number: name for name, number in LEVELS.items()}
RELAYS: Final = {1: 3, 2: 6}

Level = Annotated[
    Literal["private", "anonymous"],
    Parameter(help="private: 3 relays, faster. anonymous: 6 relays, hides more."),
]
