"""A state directory of an older version becomes one of ours, also when a process dies in a step."""

import json

import pytest

from peerstream.node.store import state as state_module
from peerstream.node.store.migrations import MIGRATIONS
from peerstream.node.store.state import VERSION, StateDirectory


def of_version(path, version):
    """A directory as the software of that version left it."""
    path.mkdir(mode=0o700)
    if version >= 2:
        (path / "run").mkdir(mode=0o700)
    for name, text in (("lock", ""), ("keystore", "secrets"), ("guards", "mine")):
        (path / name).write_text(text)
    (path / "state.json").write_text(json.dumps({"schema": "psp.state", "version": version}))
    for child in path.iterdir():
        if child.is_file():
            child.chmod(0o600)
    return path


def version_of(path):
    return json.loads((path / "state.json").read_text())["version"]


@pytest.mark.parametrize("version", range(1, VERSION + 1))
def test_every_version_opens_and_keeps_what_it_held(tmp_path, version):
    path = of_version(tmp_path / "state", version)
    StateDirectory.open(path).close()
    assert version_of(path) == VERSION
    assert (path / "keystore").read_text() == "secrets"
    assert (path / "guards").read_text() == "mine"
    assert (path / "run").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("step", range(len(MIGRATIONS)))
def test_a_process_that_dies_behind_a_step_goes_on(tmp_path, monkeypatch, step):
    path = of_version(tmp_path / "state", 1)

    def dies(state):
        MIGRATIONS[step](state)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(
            state_module, "MIGRATIONS", (*MIGRATIONS[:step], dies, *MIGRATIONS[step + 1 :])
        )
        with pytest.raises(KeyboardInterrupt):
            StateDirectory.open(path)
    assert version_of(path) == 1
    StateDirectory.open(path).close()
    assert version_of(path) == VERSION
