"""A town of relays in memory, once for all tests beside it: it takes seconds to come up."""

import pytest

from tests.node.library.api.town import Town


@pytest.fixture(scope="session")
def town(tmp_path_factory):
    with Town.running(tmp_path_factory.mktemp("town")) as town:
        yield town
