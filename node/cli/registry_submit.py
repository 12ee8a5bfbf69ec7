"""`psp registry submit`: post what somebody else signed (SPEC 13.9).

What a file does is read from its signed bytes; what it says of itself is never shown.
"""

from pathlib import Path
from typing import Final

import trio

from peerstream.identity.address import Address
from peerstream.identity.json_text import read_json
from peerstream.node.chain.errors import RequestFileError, WrongChainError
from peerstream.node.chain.identities import SCHEMA as REQUEST
from peerstream.node.chain.identities import SignedRequest
from peerstream.node.chain.posting import SCHEMA as TRANSACTION
from peerstream.node.chain.posting import SignedTransaction
from peerstream.node.chain.transactions import Plan, simulate
from peerstream.node.cli.errors import BadArgumentError
from peerstream.node.cli.registry_chain import Connection, connected
from peerstream.node.cli.registry_options import DEFAULT_WRITE, Write, WriteOptions, read_file
from peerstream.node.cli.registry_writing import Writing, confirm, date, nothing, report, sent
from peerstream.node.cli.report import Report
from peerstream.node.config import NetworkParameters

_ACTION: Final = "submit"


def submit(file: Path, /, *, write: Write = DEFAULT_WRITE) -> Report:
    """Post a file of --sign-only: a request at your cost (--wallet-key), or a transaction."""
    if write.sign_only is not None:
        raise BadArgumentError("the file is signed already: leave --sign-only away")
    data, network = read_file(file), write.parameters()
    schema = _schema(data)
    if schema == REQUEST:
        return _submit_request(SignedRequest.parse(data), write, network)
    if schema == TRANSACTION:
        return trio.run(_submit_transaction, SignedTransaction.parse(data), write, network)
    raise RequestFileError(f"{file} is neither a {REQUEST} nor a {TRANSACTION}")


def _schema(data: bytes) -> object:
    try:
        found = read_json(data)
        return found.get("schema")
    except (ValueError, AttributeError) as error:
        raise RequestFileError(f"no JSON object: {type(error).__name__}") from error


def _submit_request(
    signed: SignedRequest, write: WriteOptions, network: NetworkParameters
) -> Report:
    async def planner(connection: Connection, _payer: Address) -> Plan:
        plan = signed.plan(connection.deployment)
        until = f"to be posted until {date(signed.request.deadline)}"
        return Plan(to=plan.to, data=plan.data, summary=(*plan.summary, until))

    return trio.run(Writing(_ACTION, write, network, write.secret(), planner).run)


async def _submit_transaction(
    signed: SignedTransaction, write: WriteOptions, network: NetworkParameters
) -> Report:
    if signed.chain_id != network.chain_id:
        raise WrongChainError(f"it was signed for chain {signed.chain_id}")
    async with connected(network, stranger=write.stranger) as connection:
        if signed.to not in connection.contracts:
            raise RequestFileError(f"{signed.to} is no contract of this network")
        plan = Plan(to=signed.to, data=signed.data, value=signed.value, summary=signed.lines())
        values = {
            **nothing(_ACTION, network),
            "sender": str(signed.sender),
            "summary": list(signed.lines()),
            "value_wei": str(signed.value),
            "gas": await simulate(connection.rpc, signed.sender, plan),
        }
        if write.dry_run:
            return report(values, signed.lines())
        confirm(signed.lines(), yes=write.yes)
        return sent(values, await signed.post(connection.rpc))
