"""Several endpoints that must say the same (SPEC 8.3)."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import trio

from peerstream.node.chain.errors import (
    ChainError,
    EndpointsDisagreeError,
    EndpointTimeoutError,
    TooFewEndpointsError,
)
from peerstream.node.chain.rpc import RpcClient

AGREE: Final = 2  # one endpoint alone can show whatever it likes
PATIENCE_S: Final = 60.0  # an endpoint can also answer many small questions, each just in time
T = TypeVar("T")
Question = Callable[[RpcClient], Awaitable[T]]


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Endpoints, and how many must answer alike; never less than all that answer.

    patience_s: seconds for one question, however many requests it takes.
    """

    clients: Sequence[RpcClient]
    agree: int
    patience_s: float = PATIENCE_S

    @classmethod
    def of(cls, clients: Sequence[RpcClient]) -> "Endpoints":
        """Take the user's own nodes alone where there are any, else at least two of strangers.

        Raises TooFewEndpointsError for a single endpoint of a stranger.
        """
        own = tuple(client for client in clients if client.own_node)
        if not own and len(clients) < AGREE:
            raise TooFewEndpointsError(
                f"{len(clients)} endpoints, none of them your own node: give {AGREE}"
            )
        return cls(own, 1) if own else cls(tuple(clients), AGREE)

    def only(self, clients: Sequence[RpcClient]) -> "Endpoints":
        """Return these endpoints under the same rules."""
        return Endpoints(tuple(clients), self.agree, self.patience_s)

    async def ask_all(self, question: Question[T]) -> list[tuple[RpcClient, T]]:
        """Return what each endpoint answers; at least `agree` of them.

        Raises the one endpoint's own ChainError, or TooFewEndpointsError with all reasons.
        """
        answers: list[tuple[RpcClient, T]] = []
        failures: list[tuple[RpcClient, ChainError]] = []

        async def ask(client: RpcClient) -> None:
            try:
                with trio.fail_after(self.patience_s):
                    answers.append((client, await question(client)))
            except ChainError as error:
                failures.append((client, error))
            except trio.TooSlowError:
                late = EndpointTimeoutError(f"{client.name} took more than {self.patience_s:g} s")
                failures.append((client, late))

        async with trio.open_nursery() as nursery:
            for client in self.clients:
                nursery.start_soon(ask, client)
        if len(answers) >= max(1, self.agree):
            return answers
        raise _too_few(len(answers), self.agree, failures)

    async def agreed(self, question: Question[T]) -> T:
        """Return the answer on which all that answer agree. Raises EndpointsDisagreeError too."""
        answers = await self.ask_all(question)
        (first, value), *rest = answers
        for client, other in rest:
            if other != value:
                raise EndpointsDisagreeError(f"{first.name} and {client.name} answer differently")
        return value


def _too_few(
    answered: int, needed: int, failures: list[tuple[RpcClient, ChainError]]
) -> ChainError:
    if not answered and len({type(error) for _, error in failures}) == 1:
        return failures[0][1]
    reasons = tuple(f"{client.name}: {error}" for client, error in failures)
    return TooFewEndpointsError(f"{answered} endpoints answered where {needed} must agree", reasons)
