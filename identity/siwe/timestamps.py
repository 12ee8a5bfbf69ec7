"""RFC 3339 times as sign-in messages carry them (SPEC 20.3)."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from peerstream.identity.siwe.errors import TimeError

_SHAPE: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d):(\d\d)(\.\d++)?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII
)
_LEAP_SECOND: Final = 60
_FRACTION_DIGITS: Final = 10  # the point and nanoseconds


def read_time(text: str) -> float:
    """Return the unix time, in seconds, of an RFC 3339 date-time; raises TimeError.

    The sixtieth second of a minute counts as the first of the next: unix time has no leap seconds.
    """
    cut = _SHAPE.fullmatch(text)
    if cut is None:
        raise TimeError("a time is written as 2026-01-31T12:00:00Z")
    day, minute, second, fraction, sign, hours, minutes = cut.groups()
    if int(second) > _LEAP_SECOND or (sign and (int(hours) > 23 or int(minutes) > 59)):
        raise TimeError("there is no such second or no such offset")
    try:
        moment = datetime.fromisoformat(f"{day}T{minute}:00+00:00").timestamp()
    except ValueError as error:
        raise TimeError("there is no such day or no such minute") from error
    offset = 60 * (60 * int(hours) + int(minutes)) if sign else 0
    part = float(fraction[:_FRACTION_DIGITS]) if fraction else 0.0
    return moment + int(second) + part - (offset if sign == "+" else -offset)


def write_time(unix: int) -> str:
    """Return a unix time in whole seconds as RFC 3339 in UTC; raises TimeError beyond year 9999."""
    try:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=unix)
    except OverflowError as error:
        raise TimeError("there is no such year") from error
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
