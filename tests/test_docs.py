"""Documents that are made from the code are checked here, and printed when they are stale."""

import re
from collections import Counter
from enum import Enum
from pathlib import Path

import pytest

from peerstream.node.protocol.circuit import origin, relay_circuit
from peerstream.node.protocol.rendezvous import call

ROOT = Path(__file__).parent.parent
ARCHITECTURE = ROOT / "docs" / "architecture.md"
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)

MACHINES = {
    "A circuit at its owner": origin.TRANSITIONS,
    "A circuit at a relay": relay_circuit.TRANSITIONS,
    "A call at the caller": call.TRANSITIONS,
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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    targets = LINK.findall(CODE.sub("", page.read_text(encoding="utf-8")))
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_a_decision_has_its_number_alone():
    numbers = Counter(page.name[:4] for page in (ROOT / "docs" / "decisions").glob("*.md"))
    assert [number for number, count in numbers.items() if count > 1] == []
