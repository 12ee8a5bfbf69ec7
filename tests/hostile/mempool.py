"""An endpoint whose transactions hang: it takes some, and mines only a later one."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx2

from peerstream.identity.keys import keccak256
from peerstream.node.chain.rlp import decode
from tests.hostile.answers import answer
from tests.hostile.chain_endpoints import Honest, items


@dataclass(frozen=True)
class Pending:
    raw: bytes

    def _number(self, place: int) -> int:
        return int.from_bytes(decode(self.raw[1:])[place], "big")

    @property
    def nonce(self) -> int:
        return self._number(1)

    @property
    def fee(self) -> int:
        return self._number(3)

    @property
    def hash(self) -> bytes:
        return keccak256(self.raw)


@dataclass
class Mempool:
    """Mines with the `takes`-th transaction: that one, or number `mines` of those that hang.

    A replacement costs a tenth more than what hangs at its nonce. before_second: what happens
    before the second one is looked at.
    """

    honest: Honest
    takes: int
    mines: int | None = None
    seen: list[Pending] = field(default_factory=list)
    refused: int = 0
    before_second: Callable[[], object] | None = None
    _pool: dict[int, int] = field(default_factory=dict)

    def put(self, raw: bytes) -> None:
        pending = Pending(raw)
        self._pool[pending.nonce] = pending.fee

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        asked = items(request.content)
        if not any(item["method"] == "eth_sendRawTransaction" for item in asked):
            return self.honest(request)
        answers = [self._take(item) for item in asked]
        return answer(json.dumps(answers if len(answers) > 1 else answers[0]).encode())

    def _take(self, item: dict) -> dict:
        pending = Pending(bytes.fromhex(item["params"][0][2:]))
        if self.seen and self.before_second is not None:
            self.before_second()
            return self._mined(item, pending)
        hanging = self._pool.get(pending.nonce, 0)
        if pending.fee * 10 < hanging * 11:
            self.refused += 1
            return self._error(item, "replacement transaction underpriced")
        self.seen.append(pending)
        self._pool[pending.nonce] = pending.fee
        if len(self.seen) < self.takes:
            return self._ok(item, pending)
        chosen = pending if self.mines is None else self.seen[self.mines]
        found = self._mined(item, chosen)
        return found if "error" in found else self._ok(item, pending)

    def _mined(self, item: dict, pending: Pending) -> dict:
        body = {**item, "params": ["0x" + pending.raw.hex()]}
        request = httpx2.Request("POST", "http://e", content=json.dumps(body).encode())
        return json.loads(b"".join(self.honest(request).stream._pieces))

    @staticmethod
    def _ok(item: dict, pending: Pending) -> dict:
        return {"jsonrpc": "2.0", "id": item["id"], "result": "0x" + pending.hash.hex()}

    @staticmethod
    def _error(item: dict, message: str) -> dict:
        return {"jsonrpc": "2.0", "id": item["id"], "error": {"code": -32000, "message": message}}
