"""How errors of a daemon look from outside (SPEC 17.7).

By the names of their classes, as exit codes are: the layers that have them are above this one.
"""

import re
from typing import Final

from starlette.responses import Response

from peerstream.identity.web.problem import ProblemError, problem_response
from peerstream.identity.web.routes import ApiRoute

_WORD: Final = re.compile(r"(?<!^)(?=[A-Z])")
_STATUS: Final = {
    "AliasError": 422,
    "AliasTakenError": 409,
    "ContactsFullError": 409,
    "GatewayError": 422,
    "IdentityError": 422,
    "NoIdentityError": 409,
    "ServiceError": 422,
    "SettingError": 422,
    "StoreError": 503,
    "UnknownContactError": 404,
    "UnknownServiceError": 404,
}


def code_of(kind: type[BaseException]) -> str:
    """Return the code of an error's class: ``AliasTakenError`` is ``alias-taken``."""
    return _WORD.sub("-", kind.__name__.removesuffix("Error")).lower()


def refusal_of(error: Exception) -> ProblemError | None:
    """Return the answer for an error of ours, None for one that is a bug."""
    for kind in type(error).__mro__:
        if kind.__name__ in _STATUS:
            return ProblemError(_STATUS[kind.__name__], code_of(type(error)), str(error))
    return None


class DaemonRoute(ApiRoute):
    """A route of the local API: what the daemon refuses is an answer, anything else a bug."""

    refused = (Exception,)

    def refuse(self, error: Exception) -> Response:
        """Return the answer for one of the errors in ``refused``."""
        found = refusal_of(error)
        return super().refuse(error) if found is None else problem_response(found)
