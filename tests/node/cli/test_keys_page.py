"""Every `psp` line of docs/keys.md runs, in the order of the page."""

import re
import shlex
import webbrowser
from pathlib import Path

from peerstream.identity import LocalSigner
from tests.node.cli.conftest import ACCOUNT, WALLET
from tests.node.cli.wallet_page.visitor import Visitor
from tests.node.store.keyrings import install

PAGE = Path(__file__).parents[3] / "docs" / "keys.md"
OTHER_MACHINE = "psp id restore"


def commands():
    text = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def test_every_line_of_the_page_runs(psp, network, tmp_path, typed, monkeypatch):
    install(monkeypatch)
    typed(*["right"] * 100)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PSP_NETWORK", str(network))
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(webbrowser, "open", Visitor(LocalSigner(bytes.fromhex(WALLET))))
    lines = commands()
    assert len(lines) == 8
    for line in lines:
        machine = "other" if line.startswith(OTHER_MACHINE) else "mine"
        monkeypatch.setenv("PSP_STATE", str(tmp_path / machine))
        words = shlex.split(line, comments=True)
        assert words[0] == "psp"
        done = psp(*words[1:])
        assert done.code == 0, (line, done.err)
    assert psp("id", "show", "--json").json["account"] == ACCOUNT
