"""Every decoder over its fuzz target's seeds and changes of them: only named errors come out."""

import pytest

from fuzz.run import TARGETS, main
from fuzz.target import Target, changed

COUNT = 150


@pytest.mark.parametrize("name", TARGETS)
def test_a_decoder_raises_named_errors_only(name):
    target = TARGETS[name]
    for data in changed(target, COUNT):
        try:
            target.run(data)
        except Exception as error:
            error.add_note(f"{name}: {data[:2_000].hex()}")
            raise


@pytest.mark.parametrize("name", TARGETS)
def test_changes_are_the_same_in_every_run(name):
    target = TARGETS[name]
    assert target.seeds
    first = list(changed(target, 20))
    assert first == list(changed(target, 20))
    assert len(set(first)) > 10
    assert first != list(changed(target, 20, seed=1))


def test_the_command_runs_a_target_and_names_the_others(capsys):
    main(["tlv", "--random", "50"])
    with pytest.raises(SystemExit) as listing:
        main(["--list"])
    assert set(TARGETS) <= set(str(listing.value).split())


def test_a_crash_is_shown_as_bytes(capsys, monkeypatch):
    broken = Target("broken", bytes.decode, (b"text", b"\xff\xfe"))
    monkeypatch.setitem(TARGETS, "broken", broken)
    with pytest.raises(UnicodeDecodeError):
        main(["broken", "--random", "3"])
    assert "input 2 of broken: fffe" in capsys.readouterr().out
