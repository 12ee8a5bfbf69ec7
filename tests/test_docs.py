"""Documents that are made from the code are checked here, and printed when they are stale."""

from enum import Enum
from pathlib import Path

import pytest

from peerstream.node.protocol.circuit import origin, relay_circuit

ARCHITECTURE = Path(__file__).parent.parent / "docs" / "architecture.md"

MACHINES = {
    "A circuit at its owner": origin.TRANSITIONS,
    "A circuit at a relay": relay_circuit.TRANSITIONS,
}


def diagram(name: str, transitions: dict[tuple[Enum, Enum], Enum]) -> str:
    """A heading and a mermaid state diagram of one table."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for (state, happened), following in transitions.items():
        arrows.setdefault((state.value, following.value), []).append(happened.value)
    first = next(iter(transitions))[0].value
    last = {following.value for following in transitions.values()}
    last -= {state.value for state, _ in transitions}
    lines = [f"### {name}", "", "```mermaid", "stateDiagram-v2", f"    [*] --> {first}"]
    lines += [f"    {a} --> {b}: {', '.join(happened)}" for (a, b), happened in arrows.items()]
    lines += [f"    {state} --> [*]" for state in sorted(last)]
    return "\n".join([*lines, "```"])


@pytest.mark.parametrize("name", MACHINES)
def test_the_state_diagrams_are_those_of_the_code(name):
    wanted = diagram(name, MACHINES[name])
    text = ARCHITECTURE.read_text(encoding="utf-8")
    assert wanted in text, f"paste this into docs/architecture.md:\n\n{wanted}\n"
