"""Two other parsers of sign-in messages against ours, on more than ten thousand changed texts.

Every disagreement is explained by a rule below, and each rule explains some: a rule that nothing
needs would hide the next fault.
"""

import json
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import pytest

from peerstream.identity.siwe import SiweError, errors, parse, read_time
from tests.system.login.mutations import TEXTS, changed
from tests.system.login.programs import BROWSER, HERE, PATIENCE_S, npm_packages, tool
from tests.system.login.test_http import python_tool

COUNT = 10_000
WORKERS = 2


@cache
def texts():
    return list(changed(COUNT))


@cache
def ours():
    """What we read in each text, or why not."""
    found = []
    for text in texts():
        try:
            found.append(parse(text))
        except SiweError as error:
            found.append(error)
    return found


def ask(command, cwd=HERE):
    """Hand all texts to another program, in two parts, and return its answers."""
    half = len(texts()) // WORKERS + 1
    parts = [texts()[start : start + half] for start in range(0, len(texts()), half)]

    def one(part):
        lines = "".join(json.dumps(text) + "\n" for text in part)
        done = subprocess.run(
            [str(word) for word in command], input=lines, capture_output=True, text=True,
            cwd=cwd, timeout=3 * PATIENCE_S, check=True,
        )  # fmt: skip
        return [json.loads(line) for line in done.stdout.splitlines()]

    with ThreadPoolExecutor(WORKERS) as pool:
        answers = [answer for part in pool.map(one, parts) for answer in part]
    assert len(answers) == len(texts())
    return answers


def explained(disagreements, rules):
    """Check that each disagreement has its rule and each rule its disagreement."""
    used = set()
    for text, mine, theirs in disagreements:
        reasons = {name for name, holds in rules.items() if holds(text, mine, theirs)}
        assert reasons, (text, mine, theirs)
        used |= reasons
    assert used == set(rules)


SMALL_Z = re.compile(r"\d(?:[tz])$|\dt\d\d:", re.MULTILINE)

# RFC 3339, 5.6: T and Z "may alternatively be lower case"; the other takes lower case for no time.
PARSER_RULES = {
    "lower-case T or Z in a time": lambda text, mine, _: (
        not isinstance(mine, SiweError) and SMALL_Z.search(text)
    ),
    # ours: one message has one text
    "leading zeros of a chain id": lambda text, mine, _: (
        isinstance(mine, errors.ChainIdError) and re.search(r"^Chain ID: 0\d+$", text, re.MULTILINE)
    ),
}


@pytest.fixture(scope="module")
def parser_answers():
    program = HERE / "oracle" / "signinwithethereum.py"
    return ask([python_tool("signinwithethereum") / "python", program])


def test_signinwithethereum_and_we_take_the_same_texts(parser_answers):
    disagreements = [
        (text, mine, theirs)
        for text, mine, theirs in zip(texts(), ours(), parser_answers, strict=True)
        if isinstance(mine, SiweError) != (theirs is None)
    ]
    assert len(disagreements) < COUNT // 100
    explained(disagreements, PARSER_RULES)


def test_signinwithethereum_and_we_read_the_same_fields(parser_answers):
    compared = 0
    for mine, theirs in zip(ours(), parser_answers, strict=True):
        if isinstance(mine, SiweError) or theirs is None:
            continue
        compared += 1
        for name, value in theirs.items():
            found = getattr(mine, name)
            if name == "resources":
                value, found = list(value or ()), list(found or ())  # noqa: PLW2901
            elif name in ("issued_at", "expiration_time", "not_before") and value is not None:
                value, found = read_time(value), read_time(found)  # noqa: PLW2901
            elif name == "statement":
                value, found = value or None, found or None  # noqa: PLW2901
            assert str(found) == str(value), (str(mine), name)
    assert compared > COUNT // 10


LOOSE = (errors.StatementError, errors.UriError, errors.RequestIdError)
ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def times_of(message):
    return [t for t in (message.issued_at, message.expiration_time, message.not_before) if t]


# viem's reader is a set of expressions that search a text; what its writer would not write again
# from what was read is not a text of its language.
VIEM_RULES = {
    "viem checks no character of statement, URIs and request id": lambda _, mine, __: isinstance(
        mine, LOOSE
    ),
    "viem writes times with three digits and Z": lambda _, mine, __: (
        not isinstance(mine, SiweError) and not all(ISO.fullmatch(t) for t in times_of(mine))
    ),
    "viem knows neither users, nor IPv6, nor escapes in a domain": lambda _, mine, __: (
        not isinstance(mine, SiweError) and re.search(r"[^A-Za-z0-9.:-]", mine.domain)
    ),
    "viem wants a top level domain, or localhost, or IPv4": lambda _, mine, __: (
        not isinstance(mine, SiweError)
        and not re.fullmatch(r"(?:[\w-]{1,63}\.)+[A-Za-z]{2,}(?::\d+)?", mine.domain)
    ),
    "viem writes addresses with their checksum": lambda _, mine, __: (
        not isinstance(mine, SiweError) and not mine.has_checksum
    ),
    "viem writes no empty request id": lambda _, mine, __: (
        not isinstance(mine, SiweError) and mine.request_id == ""
    ),
    "viem takes three blank lines for no statement": lambda _, mine, __: (
        not isinstance(mine, SiweError) and mine.statement == ""
    ),
    "viem reads the last line that looks like a field": lambda text, mine, __: (
        not isinstance(mine, SiweError)
        and re.search(r"(?m)^(?:URI|Version|Chain ID|Nonce|Issued At): .*\n\n", text)
    ),
}


def test_viem_and_we_take_the_same_texts_but_for_what_viem_does_not_check():
    npm_packages(BROWSER)
    answers = ask([tool("node"), "viem.mjs"], cwd=BROWSER)
    disagreements = [
        (text, mine, theirs)
        for text, mine, theirs in zip(texts(), ours(), answers, strict=True)
        if isinstance(mine, SiweError) == theirs["written"]
    ]
    both = sum(
        theirs["written"] and not isinstance(mine, SiweError)
        for mine, theirs in zip(ours(), answers, strict=True)
    )
    assert both > COUNT // 20
    explained(disagreements, VIEM_RULES)


def test_the_texts_are_many_and_differ():
    assert len(set(texts())) > 0.8 * COUNT
    taken = [
        text for text, mine in zip(texts(), ours(), strict=True) if not isinstance(mine, SiweError)
    ]
    assert len(set(taken) - set(TEXTS)) > COUNT // 20
