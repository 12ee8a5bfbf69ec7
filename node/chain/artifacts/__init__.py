"""ABI and bytecode of our contracts, committed so that no user needs Node (SPEC 8.6)."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

CONTRACTS: Final = ("RelayRegistry", "IdentityRegistry", "RendezvousBoard", "DevENS")


@dataclass(frozen=True, slots=True)
class Artifact:
    """A compiled contract; `bytecode` creates it when its arguments follow."""

    name: str
    abi: list[dict[str, Any]]
    bytecode: bytes


def artifact_path(name: str) -> Path:
    """Return where the artifact of a contract stands."""
    return Path(__file__).with_name(f"{name}.json")


@cache
def load_artifact(name: str) -> Artifact:
    """Return a contract of `CONTRACTS`."""
    found = json.loads(artifact_path(name).read_bytes())
    return Artifact(name, found["abi"], bytes.fromhex(found["bytecode"][2:]))
