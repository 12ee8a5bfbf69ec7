"""A request that is answered here, and goes nowhere (SPEC 19.7)."""

import base64
import hashlib
from html import escape
from http import HTTPStatus
from typing import Final

from peerstream.node.gateway.replies import verdict_of
from peerstream.node.gateway.web.messages import MessageError
from peerstream.node.ports import StreamResetError
from peerstream.node.protocol.wire.status import Status
from peerstream.node.remedies import one_line, remedy_of
from peerstream.node.roles.errors import CallDeniedError

_REFUSALS: Final = {
    Status.NO_SERVICE: ("The address has no such service.", "Ask its owner what it offers."),
    Status.CONNECT: ("Connection refused.", "The address is up, the program behind it is not."),
    Status.DENIED: ("You are not let in.", "Ask the owner to allow your address."),
    Status.AUTH_REQUIRED: ("Only named callers are let in.", "Call with an identity of yours."),
    Status.LEVEL: ("The service wants more privacy.", "Call it at level anonymous."),
    Status.BUSY: ("Too many are there already.", "Try again in a while."),
}
_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:40em;margin:12vh auto;padding:0 1em}"
    "h1{font-size:1.4em}p{overflow-wrap:anywhere}small{color:#777}"
    "@media(prefers-color-scheme:dark){body{background:#111;color:#ddd}a{color:#8cf}}"
)

_DIGEST: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY: Final = f"default-src 'none'; style-src 'sha256-{_DIGEST}'; frame-ancestors 'none'"


class PageError(Exception):
    """The request was answered by a page that says why and what to do.

    status: of HTTP. link: a path of this host that the page leads to. title: the words of the
    status if it says nothing better.
    """

    def __init__(
        self, status: int, cause: str, remedy: str = "", link: str | None = None, title: str = ""
    ) -> None:
        super().__init__(cause)
        self.title = title or HTTPStatus(status).phrase
        self.status = status
        self.cause = cause
        self.remedy = remedy
        self.link = link

    @classmethod
    def of(cls, status: int, error: BaseException) -> "PageError":
        """Return the page of an error: its name, what happened, its remedy (decision 0107)."""
        text = one_line(str(error))
        cause = f"{type(error).__name__}: {text}" if text else type(error).__name__
        return cls(status, cause, remedy_of(error))

    @classmethod
    def of_dial(cls, error: BaseException) -> "PageError":
        """Return the page of an address that could not be reached, or refused."""
        if isinstance(error, MessageError):
            return cls.of(502, error)
        status = verdict_of(error).http
        if isinstance(error, (CallDeniedError, StreamResetError)) and error.status in _REFUSALS:
            return cls(status, *_REFUSALS[error.status])
        return cls.of(status, error)

    @property
    def reason(self) -> str:
        """The words of the status."""
        return HTTPStatus(self.status).phrase

    def page(self) -> bytes:
        """Return the page: text and at most one link, nothing that runs or is loaded."""
        link = "" if self.link is None else f'<p><a href="{escape(self.link)}">Open it</a></p>'
        title = escape(self.title)
        return (
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
            f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
            f"<h1>{title}</h1><p>{escape(self.cause)}</p><p>{escape(self.remedy)}</p>{link}"
            f"<p><small>PeerStream, {self.status}</small></p></html>\n"
        ).encode()

    def fields(self, page: bytes) -> list[tuple[bytes, bytes]]:
        """Return the header fields of the page, after which the connection ends."""
        return [
            (b"Content-Type", b"text/html; charset=utf-8"),
            (b"Content-Length", str(len(page)).encode()),
            (b"Content-Security-Policy", _POLICY.encode()),
            (b"X-Content-Type-Options", b"nosniff"),
            (b"Referrer-Policy", b"no-referrer"),
            (b"Cache-Control", b"no-store"),
            (b"Connection", b"close"),
        ]
