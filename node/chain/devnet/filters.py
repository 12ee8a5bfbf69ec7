"""Which logs a request asks for (SPEC 8.7; eth_getLogs)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Self

from peerstream.node.chain.devnet import parameters, values
from peerstream.node.chain.devnet.errors import BadParametersError
from peerstream.node.chain.devnet.ledger import MinedBlock

LOGS_MAX: Final = 10_000  # as public endpoints limit them, so that clients learn to ask for less
_ADDRESSES_MAX: Final = 64
_TOPICS_MAX: Final = 4
_ALTERNATIVES_MAX: Final = 64


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Logs by any of `addresses` (none: all) whose topics match place by place (None: any)."""

    addresses: frozenset[str]
    topics: tuple[frozenset[str] | None, ...]

    @classmethod
    def parse(cls, request: dict[str, Any]) -> Self:
        """Read `address` and `topics` of a request. Raises BadParametersError."""
        addresses = _list(request.get("address"), _ADDRESSES_MAX)
        topics = request.get("topics") or []
        if not isinstance(topics, list) or len(topics) > _TOPICS_MAX:
            raise BadParametersError(f"topics is a list of up to {_TOPICS_MAX}")
        return cls(
            frozenset(str(values.account(parameters.address(text))) for text in addresses),
            tuple(_alternatives(topic) for topic in topics),
        )

    def select(self, block: MinedBlock) -> Iterator[values.Json]:
        """Yield the logs of a block that match."""
        return (log for log in values.logs_json(block) if self._matches(log))

    def _matches(self, log: values.Json) -> bool:
        if self.addresses and log["address"] not in self.addresses:
            return False
        given = log["topics"]
        return len(given) >= len(self.topics) and all(
            wanted is None or topic in wanted
            for wanted, topic in zip(self.topics, given, strict=False)
        )


def _list(value: object, maximum: int) -> list[Any]:
    found = [] if value is None else value if isinstance(value, list) else [value]
    if len(found) > maximum:
        raise BadParametersError(f"a list has up to {maximum} items")
    return found


def _alternatives(topic: object) -> frozenset[str] | None:
    if topic is None:
        return None
    wanted = _list(topic, _ALTERNATIVES_MAX)
    return frozenset(values.octets(parameters.octets(text, 32)) for text in wanted) or None
