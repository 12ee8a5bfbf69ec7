"""The three cookies of a login (SPEC 21.4)."""

from typing import Final

from peerstream.identity.web.cookies import HostCookie

SESSION: Final = HostCookie("psp-session", "lax")  # a link from elsewhere finds one signed in
REFRESH: Final = HostCookie("psp-refresh", "strict")
BINDING: Final = HostCookie("psp-login", "strict")
