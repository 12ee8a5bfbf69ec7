"""HTTP to an exposed service, with the caller's address in it (SPEC 19.5)."""

import h11
import trio

from peerstream.node.gateway.access_log import AccessLog
from peerstream.node.gateway.local_stream import Wire
from peerstream.node.gateway.service_spec import LEVEL_NAMES
from peerstream.node.gateway.web.fields import path_of, request_fields, response_fields
from peerstream.node.gateway.web.refusal import PageError
from peerstream.node.ports import Peer, StreamError


class HandoverRules:
    """Rules of one stream to one local program. Satisfies `Rules`."""

    def __init__(self, service: str, peer: Peer, local: Wire, log: AccessLog) -> None:
        self._service = service
        self._peer = peer
        self._local = local
        self._log = log
        self._began = trio.current_time()

    def request(self, request: h11.Request) -> h11.Request:
        """Say who calls, and let nobody else say so. Raises PageError."""
        self._began = trio.current_time()
        path, fields = path_of(request), request_fields(request)
        if self._peer.address is not None:
            fields.append((b"X-PSP-Peer", str(self._peer.address).encode()))
        fields.append((b"X-PSP-Level", LEVEL_NAMES[self._peer.level].encode()))
        return h11.Request(method=request.method, target=path, headers=fields)

    async def open(self, _request: h11.Request) -> Wire:
        """Return the connection, which stands already: else the stream had not been taken."""
        return self._local

    def response(self, response: h11.Response) -> h11.Response:
        """Return the answer without what was meant for us alone."""
        return h11.Response(
            status_code=response.status_code,
            headers=response_fields(response),
            reason=response.reason,
        )

    def switched(self, response: h11.InformationalResponse) -> h11.InformationalResponse:
        """Return the answer that changes to WebSocket."""
        return h11.InformationalResponse(
            status_code=response.status_code,
            headers=response_fields(response),
            reason=response.reason,
        )

    def broken(self, error: StreamError) -> PageError:
        """Tell the caller that the local program did not answer."""
        return PageError.of(502, error)

    def finished(self, request: h11.Request | None, status: int, outcome: str) -> None:
        """Write one line, without the query: what stands there is between the two."""
        self._log.note(
            self._service,
            self._peer,
            outcome,
            seconds=round(trio.current_time() - self._began, 3),
            method=None if request is None else request.method.decode("ascii"),
            path=None if request is None else _shown(request.target),
            status=status or None,
        )


def _shown(target: bytes) -> str:
    return target.partition(b"?")[0].decode("ascii", "backslashreplace")
