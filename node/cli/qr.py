"""A card as a QR code, in the terminal and as a picture (SPEC 13.4)."""

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from peerstream.node.cli.errors import FileExistsHereError
from peerstream.node.store.files import write_whole

if TYPE_CHECKING:
    from rich.console import Console


def show_card(console: "Console", card: str, *, qr: bool) -> None:
    """Print a card, under its code when that is wanted.

    Two modules a letter, dark on light whatever the colours of the terminal: scanners want that.
    """
    if qr:
        for line in _lines(card):
            console.print(line, style="black on white", markup=False, no_wrap=True, crop=False)
    console.print(card, soft_wrap=True, markup=False)


def write_svg(card: str, path: Path) -> None:
    """Write the code of a card to a new file of mode 0600: it is the card.

    Raises FileExistsHereError, StateUnavailableError.
    """
    import segno  # noqa: PLC0415 - of one option

    if path.exists():
        raise FileExistsHereError(f"{path}")
    picture = BytesIO()
    segno.make_qr(card).save(picture, kind="svg", scale=4)
    write_whole(path, picture.getvalue())


def _lines(card: str) -> list[str]:
    """Return the code with its border of four modules, two rows of modules a line."""
    import segno  # noqa: PLC0415 - of one option

    rows = [[bool(module) for module in row] for row in segno.make_qr(card).matrix_iter(border=4)]
    if len(rows) % 2:
        rows.append([False] * len(rows[0]))
    return [
        "".join(" ▄▀█"[2 * upper + lower] for upper, lower in zip(one, other, strict=True))
        for one, other in zip(rows[::2], rows[1::2], strict=True)
    ]
