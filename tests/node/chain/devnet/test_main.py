import pytest

from peerstream.node.chain.devnet.__main__ import leaves, main


def test_a_bad_state_file_is_told_by_name(tmp_path, capsys):
    state = tmp_path / "state"
    state.write_bytes(b"no state")
    assert main(["--backend", "embedded", "--state", str(state)]) == 1
    assert "StateFileError: " in capsys.readouterr().err


def test_unknown_constants(capsys):
    assert main(["--backend", "embedded", "--network", "nowhere"]) == 1
    assert "NetworkFileMissingError" in capsys.readouterr().err


def test_unknown_options(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--backend", "geth"])
    assert caught.value.code == 2
    assert "geth" in capsys.readouterr().err


def test_errors_out_of_nested_groups():
    first, second = ValueError("a"), TypeError("b")
    group = ExceptionGroup("", [ExceptionGroup("", [first]), second])
    assert list(leaves(group)) == [first, second]
