"""The QR code in the terminal is the code of the card, module by module."""

import segno

from peerstream.node.cli import qr
from tests.node.cli.shapes import require_shape

MODULES = {" ": (0, 0), "▄": (0, 1), "▀": (1, 0), "█": (1, 1)}


def test_what_is_drawn_is_the_code(psp, network, wallet, tmp_path):
    options = ("--state", tmp_path / "me")
    made = psp("id", "new", "--network", network, "--wallet-key", wallet, *options)
    assert made.code == 0, made.err
    drawn = psp("id", "card", "--qr", *options).out.splitlines()
    card = drawn.pop()
    rows = []
    for line in drawn:
        pairs = [MODULES[letter] for letter in line]
        rows += [[pair[0] for pair in pairs], [pair[1] for pair in pairs]]
    wanted = [[int(bool(m)) for m in row] for row in segno.make_qr(card).matrix_iter(border=4)]
    assert rows[: len(wanted)] == wanted
    assert not any(map(any, rows[len(wanted) :]))
    assert qr._lines(card) == drawn


def test_a_picture_is_private_and_replaces_nothing(psp, network, wallet, tmp_path):
    options = ("--state", tmp_path / "me")
    psp("id", "new", "--network", network, "--wallet-key", wallet, *options)
    picture = tmp_path / "card.svg"
    done = psp("id", "card", "--svg", picture, *options, "--json")
    require_shape(done.json)
    assert done.json["file"] == str(picture)
    assert picture.stat().st_mode & 0o777 == 0o600
    assert b"<svg" in picture.read_bytes()
    assert "FileExistsHereError" in psp("id", "card", "--svg", picture, *options).err
