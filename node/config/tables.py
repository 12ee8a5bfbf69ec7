"""JSON objects with exactly the settings that exist (SPEC 7.3)."""

import json
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, Final, NoReturn

from peerstream.node.config.errors import (
    MissingSettingError,
    NetworkFileMalformedError,
    SettingRangeError,
    UnknownSettingError,
)

_BRACKETS_MAX: Final = 900  # Python's own recursion limit is 1 000; 256 relays need 512


def table(
    where: str, value: object, *, required: Iterable[str], optional: Iterable[str] = ()
) -> dict[str, Any]:
    """Return the object itself, once it has all required settings and no unknown ones.

    `where` names it in errors: SettingRangeError, UnknownSettingError, MissingSettingError.
    """
    if not isinstance(value, dict):
        raise SettingRangeError(f"{where} is an object {{...}}")
    must = list(required)
    known = [*must, *optional]
    for name in value:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise UnknownSettingError(f"{where} has no setting {name[:64]!r}{hint}")
    missing = [name for name in must if name not in value]
    if missing:
        raise MissingSettingError(f"{where} lacks {', '.join(missing)}")
    return value


def octets(name: str, value: object, size: int) -> bytes:
    """Return `size` bytes from hexadecimal text, with or without 0x. Raises SettingRangeError."""
    text = value.removeprefix("0x") if isinstance(value, str) else ""
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        raw = b""
    if len(raw) != size or len(text) != 2 * size:
        raise SettingRangeError(f"{name} is {size} bytes in hexadecimal")
    return raw


def number(name: str, value: object, maximum: int, *, minimum: int = 0) -> int:
    """Return a whole number within the bounds. Raises SettingRangeError."""
    if type(value) is not int or not minimum <= value <= maximum:
        raise SettingRangeError(f"{name} is a whole number in {minimum}..{maximum}")
    return value


def items(name: str, value: object, maximum: int) -> list[Any]:
    """Return a list of up to `maximum` items. Raises SettingRangeError."""
    if not isinstance(value, list) or len(value) > maximum:
        raise SettingRangeError(f"{name} is a list of up to {maximum}")
    return value


def parse_json(data: bytes) -> object:
    """Parse JSON without floats, and without one name twice. Raises NetworkFileMalformedError."""
    # py_ecc, which eth_account imports, lifts the recursion limit to 100 000; the parser in C then
    # runs off its stack and takes the process with it, where it would have raised RecursionError.
    if data.count(b"[") + data.count(b"{") > _BRACKETS_MAX:
        raise NetworkFileMalformedError(f"more than {_BRACKETS_MAX} lists and objects")
    try:
        return json.loads(
            data.decode(),
            object_pairs_hook=_object,
            parse_float=_no_float,
            parse_constant=_no_float,
        )
    except ValueError as error:
        raise NetworkFileMalformedError(f"no JSON: {error}") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NetworkFileMalformedError("one setting stands twice")
    return found


def _no_float(text: str) -> NoReturn:
    raise NetworkFileMalformedError(f"{text[:32]} is no whole number")
