"""Reads messages, one JSON text a line; says of each what the other parser reads in it, or null."""

import json
import sys

from siwe import SiweMessage

FIELDS = ("scheme", "domain", "address", "statement", "uri", "version", "chain_id", "nonce",
          "issued_at", "expiration_time", "not_before", "request_id", "resources")  # fmt: skip


def read(text: str) -> dict[str, object] | str | None:
    """Return the fields, null for a refusal, or the name of another error."""
    try:
        found = SiweMessage.from_message(text, abnf=True)
    except ValueError:
        return None
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the other's
        return type(error).__name__
    values = {name: getattr(found, name) for name in FIELDS}
    return {name: value if isinstance(value, (int, list)) or value is None else str(value)
            for name, value in values.items()}  # fmt: skip


for line in sys.stdin:
    sys.stdout.write(json.dumps(read(json.loads(line))) + "\n")
