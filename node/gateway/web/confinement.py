"""What is changed in answers for a browser, so that a page stays with its address (SPEC 19.7)."""

import re
from typing import Final

import h11

from peerstream.node.gateway.web.fields import Fields, plain, response_fields

_TALKS_TO_OTHERS: Final = frozenset(
    {
        b"alt-svc",
        b"link",
        b"refresh",
        b"nel",
        b"report-to",
        b"speculation-rules",
        b"reporting-endpoints",
        b"content-security-policy-report-only",
        b"cross-origin-opener-policy-report-only",
        b"cross-origin-embedder-policy-report-only",
        b"strict-transport-security",
    }
)
_REPORTS: Final = re.compile(rb"\s*report-(uri|to)\b", re.IGNORECASE)
_DOMAIN: Final = re.compile(rb";\s*domain\s*(=[^;]*)?(?=;|$)", re.IGNORECASE)
_POLICY: Final = b"content-security-policy"
_COOKIE: Final = b"set-cookie"


def confined(response: h11.Response | h11.InformationalResponse, host: str) -> Fields:
    """Return the fields of an answer for a page of this host."""
    found: Fields = []
    ours = _ours(host)
    replaced = _TALKS_TO_OTHERS | {plain(name) for name, _ in ours} - {_POLICY}
    for name, value in response_fields(response):
        key = plain(name)
        if key == _POLICY:
            found.append((name, _without_reports(value)))
        elif key == _COOKIE:
            found.append((name, _DOMAIN.sub(b"", value)))
        elif key not in replaced:
            found.append((name, value))
    return found + ours


def _ours(host: str) -> Fields:
    policy = (
        "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; "
        f"connect-src 'self' ws://{host} data: blob:; "
        "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'; "
        "webrtc 'block'"
    )
    return [
        (b"Content-Security-Policy", policy.encode("ascii")),
        (b"Referrer-Policy", b"same-origin"),
        (b"Cross-Origin-Opener-Policy", b"same-origin"),
        (b"Cross-Origin-Resource-Policy", b"same-origin"),
        (b"X-DNS-Prefetch-Control", b"off"),
    ]


def _without_reports(value: bytes) -> bytes:
    """Return policies that report to nobody."""
    policies = (
        b";".join(part for part in policy.split(b";") if not _REPORTS.match(part))
        for policy in value.split(b",")
    )
    return b",".join(policies)
