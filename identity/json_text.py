"""JSON from strangers, without the depth that ends the process (SPEC 8.3, 20.5).

Libraries lift Python's recursion limit (py_ecc does, which eth_account imports). The parser in C
then runs off its stack, and takes the process with it, where it would have raised RecursionError.
"""

import json
import re
from collections.abc import Callable
from typing import Any, Final

DEPTH_MAXIMUM: Final = 16  # documents of ours have four levels, a block with its transactions six
_ALL_BUT_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
# An open string goes to the end: looking for another start in it would take quadratic time.
_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)


class JsonTextError(ValueError):
    """The bytes are no JSON, or lists within lists beyond need: whoever wrote that means harm."""


def read_json(
    data: bytes, *, object_pairs: Callable[[list[tuple[str, Any]]], Any] | None = None
) -> Any:
    """Return what the bytes say, NaN and infinities refused; raises JsonTextError.

    object_pairs: what makes an object of its pairs, in their order.
    """
    if data.count(b"[") + data.count(b"{") > DEPTH_MAXIMUM and _is_deep(data):
        raise JsonTextError(f"more than {DEPTH_MAXIMUM} levels")
    try:
        return json.loads(data, object_pairs_hook=object_pairs, parse_constant=_refuse)
    except ValueError as error:
        raise JsonTextError("the bytes are no JSON") from error


def _is_deep(data: bytes) -> bool:
    brackets = _STRING.sub(b"", data).translate(None, _ALL_BUT_BRACKETS)
    for _ in range(DEPTH_MAXIMUM):
        if not brackets:
            return False
        # Each round takes the innermost level away.
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
    return bool(brackets)


def _refuse(word: str) -> None:
    raise JsonTextError(f"{word} is no JSON")
