"""One private network for all tests beside it."""

import pytest

from tests.node.library import conftest  # noqa: F401 - the warnings of libp2p's imports
from tests.system.python.lab_network import LabNetwork


@pytest.fixture(scope="session")
def network(tmp_path_factory):
    directory = tmp_path_factory.mktemp("network")
    directory.chmod(0o700)
    with LabNetwork(directory) as network:
        yield network
