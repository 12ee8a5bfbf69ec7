"""The JavaScript package: its types, its size, and the vectors that it shares with Python."""

import json

import pytest

from tests.identity.siwe.messages import VECTORS, vectors
from tests.system.login.programs import BROWSER, SDK, npm_packages, run, tool


@pytest.fixture(scope="module", autouse=True)
def installed():
    npm_packages(SDK)
    npm_packages(BROWSER)


def test_its_types_hold():
    run(tool("node"), SDK / "node_modules" / "typescript" / "bin" / "tsc", "-p", SDK)
    assert (SDK / "dist" / "index.d.ts").is_file()
    assert (SDK / "dist" / "react.d.ts").is_file()


def test_it_is_small():
    sizes = json.loads(run(tool("node"), "size.mjs", cwd=SDK))
    assert sizes["bound"] == 5_000
    assert all(0 < size <= sizes["bound"] for size in sizes["gzip"].values())


def test_it_agrees_with_python():
    run(tool("node"), "bundle.mjs", cwd=SDK)
    bundle = SDK / "dist" / "bundle" / "login.js"
    found = json.loads(run(tool("node"), BROWSER / "vectors.mjs", bundle, VECTORS))
    vector = vectors("grant")
    for name in ("statement", "resource", "grant"):
        assert found[name] == vector[name]
    assert f"\nIssued At: {found['issuedAt']}\n" in vector["message"]
    cases = list(vectors("parsing_positive").values())
    for case, written, address in zip(cases, found["messages"], found["addresses"], strict=True):
        if "scheme" not in case["fields"] and case["message"].partition("://")[0] != "https":
            assert written == case["message"]
        assert address == case["fields"]["address"]
