"""ReCaps: what a sign-in also allows its URI to do (ERC-5573, a draft; SPEC 20.5).

Nothing here runs unless it is asked for: without the flag of ``verify`` a ReCap is a resource like
any other, and grants nothing.
"""

import base64
import binascii
import json
import re
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any, Final, Self

from peerstream.identity.json_text import JsonTextError, read_json
from peerstream.identity.siwe.errors import RecapError
from peerstream.identity.siwe.message import SiweMessage

_URN: Final = "urn:recap:"
_PREAMBLE: Final = (
    "I further authorize the stated URI to perform the following actions on my behalf:"
)
_ABILITY: Final = re.compile(r"[A-Za-z0-9.*_+\-]++/[A-Za-z0-9.*_+\-]++")
_TARGET: Final = re.compile(r"[^:]+:.*+", re.DOTALL)

Notes = tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Recap:
    """What is allowed: target URI, then ability (``namespace/name``), then its restrictions.

    An ability with no restriction object at all allows nothing, as the draft has it. ``proofs`` are
    CIDs of parent capabilities, kept as text. Raises RecapError.
    """

    abilities: dict[str, dict[str, Notes]]
    proofs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for target, allowed in self.abilities.items():
            if not _TARGET.fullmatch(target) or not allowed:
                raise RecapError("a target is a URI with at least one ability")
            if not all(_ABILITY.fullmatch(ability) for ability in allowed):
                raise RecapError("an ability is namespace/name")

    @property
    def statement(self) -> str:
        """The sentence that the wallet shows: the end of the message's statement."""
        entries = [
            f"'{namespace}': {', '.join(names)} for '{target}'."
            for target, allowed in sorted(self.abilities.items())
            for namespace, names in _by_namespace(allowed)
        ]
        return " ".join([_PREAMBLE, *(f"({n}) {entry}" for n, entry in enumerate(entries, 1))])

    @property
    def uri(self) -> str:
        """The ``urn:recap:`` form, which is the last resource of the message."""
        value = {"att": self.abilities, "prf": self.proofs}
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return _URN + base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @classmethod
    def parse(cls, uri: str) -> Self:
        """Read the ``urn:recap:`` form; keys out of order or twice raise RecapError too."""
        value = _read_json(uri.removeprefix(_URN))
        if not isinstance(value, dict) or not value.keys() <= {"att", "prf"}:
            raise RecapError("a ReCap is an object of att and prf")
        targets, proofs = value.get("att", {}), value.get("prf", [])
        if not isinstance(proofs, list) or not all(isinstance(p, str) for p in proofs):
            raise RecapError("prf is a list of CIDs")
        if not isinstance(targets, dict) or not all(isinstance(v, dict) for v in targets.values()):
            raise RecapError("att is an object of objects")
        abilities = {
            target: {ability: _notes(notes) for ability, notes in allowed.items()}
            for target, allowed in targets.items()
        }
        return cls(abilities, tuple(proofs))


def read_recap(message: SiweMessage) -> Recap | None:
    """Return the ReCap of a message, or None when it has none.

    Raises RecapError when there are several, when it is not the last resource, or when the
    statement does not end with its sentence: then the wallet showed something else.
    """
    resources = message.resources or ()
    places = [n for n, resource in enumerate(resources) if resource.startswith(_URN)]
    if not places:
        return None
    if places != [len(resources) - 1]:
        raise RecapError("a message has one ReCap, and it is the last resource")
    recap = Recap.parse(resources[-1])
    statement = message.statement or ""
    if statement != recap.statement and not statement.endswith(" " + recap.statement):
        raise RecapError("the statement does not say what the ReCap allows")
    return recap


def _by_namespace(allowed: dict[str, Notes]) -> list[tuple[str, list[str]]]:
    pairs = [ability.split("/") for ability in sorted(allowed)]
    return [
        (namespace, [f"'{name}'" for _, name in group])
        for namespace, group in groupby(pairs, key=lambda pair: pair[0])
    ]


def _notes(value: Any) -> Notes:
    if not isinstance(value, list) or not all(isinstance(note, dict) for note in value):
        raise RecapError("restrictions are a list of objects")
    return tuple(value)


def _read_json(encoded: str) -> Any:
    try:
        text = base64.b64decode(encoded + "=" * (-len(encoded) % 4), "-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError) as error:
        raise RecapError("a ReCap is base64url of UTF-8") from error
    if base64.urlsafe_b64encode(text.encode()).decode().rstrip("=") != encoded:
        raise RecapError("the base64url of the ReCap has another spelling")
    try:
        return read_json(text.encode(), object_pairs=_ordered)
    except JsonTextError as error:
        raise RecapError(str(error)) from error


def _ordered(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    if any(first >= second for first, second in pairwise(keys)):
        raise RecapError("keys are out of order or twice")
    return dict(pairs)
