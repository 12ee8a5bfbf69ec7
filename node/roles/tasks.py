"""Small help with tasks (SPEC 10.2)."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def bare_errors() -> Iterator[None]:
    """Let the first error of a nursery out by itself instead of in a group.

    For nurseries that are a detail of one call, whose caller expects the error by its name. A
    cancellation that is dropped with the group comes again at the next checkpoint.
    """
    try:
        yield
    except BaseExceptionGroup as group:
        error = first_error(group)
        raise error from error.__cause__


def first_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first error of a group that is an ordinary one, else the first of all."""
    errors, rest = group.split(Exception)
    error: BaseException = errors or rest or group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
