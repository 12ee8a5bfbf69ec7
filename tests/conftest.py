"""Settings shared by all tests, and the promise that none of them leaves this machine."""

import os
import random
import sys
from ipaddress import ip_address
from typing import Any

import pytest
import trio
from hypothesis import HealthCheck, settings

from tests import beside

settings.register_profile("dev", max_examples=25, deadline=None, derandomize=True)
settings.register_profile("ci", max_examples=100, deadline=None, derandomize=True, print_blob=True)
settings.register_profile(
    "nightly", max_examples=5_000, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if "CI" in os.environ else "dev"))


def stay_here(event: str, args: tuple[Any, ...]) -> None:
    """Refuse to send anything, or ask for a name, beyond the loopback interface."""
    if event == "socket.getaddrinfo":
        host = args[0]
    elif event in {"socket.connect", "socket.sendto"} and isinstance(args[1], tuple):
        host = args[1][0]
    else:
        return
    if isinstance(host, bytes):
        host = host.decode()
    if host in {None, "", "localhost"}:
        return
    try:
        here = ip_address(host).is_loopback or event == "socket.getaddrinfo"
    except ValueError:
        here = False
    if not here:
        raise AssertionError(f"{event} with {host}: a test stays on its machine")


sys.addaudithook(stay_here)


@pytest.fixture(autouse=True)
def scheduling():
    """Have trio draw the order of its tasks from the seed of the run, which pytest-randomly sets.

    A network in memory is then the same network in each run of that seed and PYTHONHASHSEED.
    """
    trio._core._run._r.seed(random.getrandbits(64))


@pytest.fixture
def alone():
    """For what measures the memory of the process: nothing of it runs beside the test."""
    with beside.standing_still():
        yield
