"""What comes out of a nursery that is a detail of one call."""

import pytest
import trio

from peerstream.node.roles.tasks import bare_errors


async def test_an_error_comes_out_bare_with_its_cause():
    async def fail():
        raise ValueError("what") from LookupError("why")

    async def call():
        with bare_errors():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(fail)

    with pytest.raises(ValueError, match="what") as caught:
        await call()
    assert isinstance(caught.value.__cause__, LookupError)
