"""Where a command's log goes, and how much of it (SPEC 13.1)."""

import pytest
import structlog

from peerstream.node.cli.logs import log_to_stderr


@pytest.fixture(autouse=True)
def as_before():
    yield
    structlog.reset_defaults()


@pytest.mark.parametrize("quiet", [False, True])
def test_a_quiet_command_tells_faults_alone(capsys, quiet):
    log_to_stderr(quiet=quiet)
    log = structlog.get_logger()
    log.warning("relay.silent")
    log.error("front.bug")
    out, said = capsys.readouterr()
    assert out == ""
    assert ("relay.silent" in said) is not quiet
    assert "front.bug" in said
