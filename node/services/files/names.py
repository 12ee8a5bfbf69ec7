"""Names of files from a stranger: refused, never repaired (SPEC 11.4)."""

import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from peerstream.node.services.files.errors import HostileNameError, StorageError

NAME_MAX: Final = 255  # of UTF-8: what Linux, macOS and most file systems take
COPIES_MAX: Final = 999
_SEPARATORS: Final = frozenset("/\\")
_CATEGORIES: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
_DECEIVING: Final = frozenset(
    map(chr, (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0xFEFF))
)


def require_safe(name: str) -> str:
    """Return the name; HostileNameError when it is not one harmless component of a path."""
    if not name or len(name.encode(errors="surrogatepass")) > NAME_MAX:
        raise HostileNameError(f"a name has 1 to {NAME_MAX} bytes of UTF-8")
    if any(_is_hostile(character) for character in name):
        raise HostileNameError("the name holds a separator or a character that deceives")
    if name[0] in ".-" or name[0].isspace() or name[-1].isspace():
        raise HostileNameError("the name starts with a dot, a dash or space, or ends with space")
    if not unicodedata.is_normalized("NFC", name):
        raise HostileNameError("the name is not in NFC")
    return name


def name_to_offer(path: Path) -> str:
    """Return the last component of a path in NFC; HostileNameError when nobody would take it."""
    return require_safe(unicodedata.normalize("NFC", path.name))


def candidates(name: str) -> Iterator[str]:
    """Yield the name, then `stem (1).ext` to `stem (999).ext`, each at most NAME_MAX bytes.

    Raises StorageError behind the last.
    """
    yield name
    stem, suffix = Path(name).stem, Path(name).suffix
    for number in range(1, COPIES_MAX + 1):
        ending = f" ({number}){suffix}"
        room = NAME_MAX - len(ending.encode())
        if room <= 0:  # all of the name is suffix
            stem, suffix = name, ""
            ending = f" ({number})"
            room = NAME_MAX - len(ending)
        yield stem.encode()[:room].decode(errors="ignore") + ending
    raise StorageError(f"there are {COPIES_MAX} copies of that name already")


def _is_hostile(character: str) -> bool:
    return (
        character in _SEPARATORS
        or character in _DECEIVING
        or unicodedata.category(character) in _CATEGORIES
    )
