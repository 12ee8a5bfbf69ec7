"""A delegation in words, for a person who is about to sign it (SPEC 22.6)."""

from datetime import UTC, datetime

from peerstream.identity.signer import TypedData


def describe(typed: TypedData) -> list[tuple[str, str]]:
    """Return names and values in the order in which they are read."""
    message, salt = typed["message"], typed["domain"]["salt"]
    until = datetime.fromtimestamp(int(message["notAfter"]), UTC)
    rows = [
        ("What you allow", message["statement"]),
        ("Account", message["account"]),
        ("Until", f"{until:%d %B %Y, %H:%M} UTC"),
        ("This device", message["label"] or "without a name"),
        ("Identity key", message["identityKey"]),
        ("Network", salt),
    ]
    return [(name, str(value)) for name, value in rows]
