"""Of several errors at once the gravest comes out, and bare."""

import pytest
import trio

from peerstream.node.services.files.tasks import open_team


async def fail(error: BaseException) -> None:
    raise error


async def fail_on_the_way_out(error: BaseException) -> None:
    try:
        await trio.sleep_forever()
    finally:
        raise error


async def run(body: BaseException | None, task) -> None:
    async with open_team() as team:
        team.start_soon(*task)
        await trio.lowlevel.checkpoint()
        if body is not None:
            raise body
        await trio.sleep_forever()


async def test_one_error_comes_out_bare_with_its_cause():
    error = ValueError("one")
    error.__cause__ = cause = OSError("why")
    with pytest.raises(ValueError, match="one") as raised:
        await run(None, (fail, error))
    assert raised.value is error
    assert error.__cause__ is cause


async def test_an_interrupt_is_graver_than_an_error():
    with pytest.raises(KeyboardInterrupt):
        await run(ValueError(), (fail_on_the_way_out, KeyboardInterrupt()))


async def test_being_cancelled_stays_that():
    with trio.CancelScope() as scope:
        async with open_team() as team:
            team.start_soon(trio.sleep_forever)
            scope.cancel()
            await trio.sleep_forever()
    assert scope.cancelled_caught


async def test_no_error_is_no_error():
    async with open_team() as team:
        team.start_soon(trio.lowlevel.checkpoint)
