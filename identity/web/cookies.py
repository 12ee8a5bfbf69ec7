"""Cookies that a neighbouring site can neither set nor read (SPEC 21.4)."""

import re
from dataclasses import dataclass
from typing import Literal

from starlette.requests import Request
from starlette.responses import Response

# 32 random bytes in base64url. Whatever else comes back is not ours, and some of it cannot be
# written into a header again.
_VALUE = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class HostCookie:
    """A cookie of exactly one host: ``__Host-`` name, Secure, HttpOnly, Path=/, no Domain.

    Browsers take such a cookie over https and, as a secure context, from localhost.
    """

    name: str
    same_site: Literal["lax", "strict"]

    @property
    def key(self) -> str:
        """The name on the wire."""
        return f"__Host-{self.name}"

    def read(self, request: Request) -> str | None:
        """Return the value that came with a request, or None."""
        value = request.cookies.get(self.key, "")
        return value if _VALUE.fullmatch(value) else None

    def write(self, response: Response, value: str, seconds: int) -> None:
        """Have the browser keep a value for so long."""
        response.set_cookie(
            self.key,
            value,
            max_age=seconds,
            path="/",
            secure=True,
            httponly=True,
            samesite=self.same_site,
        )

    def clear(self, response: Response) -> None:
        """Have the browser forget it."""
        self.write(response, "", 0)
