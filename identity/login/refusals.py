"""How refusals of a login look from outside (SPEC 21.5)."""

import re
from typing import Final

from starlette.responses import Response

from peerstream.identity.login.errors import LoginError
from peerstream.identity.siwe import SiweError
from peerstream.identity.web.problem import ProblemError, problem_response
from peerstream.identity.web.routes import ApiRoute

_WORD: Final = re.compile(r"(?<!^)(?=[A-Z])")
_CHALLENGE: Final = {"WWW-Authenticate": "Bearer"}


def refused(error: LoginError | SiweError) -> ProblemError:
    """Return the answer to a request whose login or session does not hold.

    A sign-in error's code is its class's name: ``DomainMismatchError`` is ``domain-mismatch``.
    """
    if isinstance(error, LoginError):
        headers = _CHALLENGE if error.status == 401 else None
        return ProblemError(error.status, error.code, str(error), headers)
    name = type(error).__name__.removesuffix("Error")
    return ProblemError(401, _WORD.sub("-", name).lower(), str(error), _CHALLENGE)


class LoginRoute(ApiRoute):
    """A route of the login: what a message or a session does not hold is an answer."""

    refused = (*ApiRoute.refused, LoginError, SiweError)

    def refuse(self, error: Exception) -> Response:
        """Return the answer for one of the errors in ``refused``."""
        if isinstance(error, LoginError | SiweError):
            return problem_response(refused(error))
        return super().refuse(error)
