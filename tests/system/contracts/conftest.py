"""What the tests of the contracts need: the npm packages, and time for compilers and solvers."""

import faulthandler
from collections.abc import Iterator

import pytest

from tests.system.contracts.toolchain import ROOT, run


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    # A solver thinks for longer than any test of ours may hang; each program has its own limit.
    faulthandler.cancel_dump_traceback_later()
    return (yield)


@pytest.fixture(autouse=True, scope="session")
def npm_packages() -> None:
    """Install what package-lock.json names, once."""
    run("sh", ROOT / "deploy" / "setup-system.sh")
