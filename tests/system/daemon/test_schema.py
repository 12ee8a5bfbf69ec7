"""A fuzzer of the local API's schema finds nothing, with the token and without."""

import re
from pathlib import Path

from tests.system.daemon.running import up
from tests.system.login.programs import run
from tests.system.login.test_http import python_tool

CONFIGURATION = Path(__file__).parent / "schemathesis.toml"
OPERATIONS = 13


def fuzz(site, *more, cwd):
    command = [python_tool("schemathesis") / "schemathesis"]
    command += ["--config-file", CONFIGURATION, "run", "--request-timeout", "120"]
    command += [f"{site}/openapi.json", "--url", site, "--checks", "all", "--seed", "1"]
    command += ["--no-color", "--max-examples", "25", *more]
    return run(*command, cwd=cwd)


def test_a_fuzzer_of_the_schema_finds_nothing(network, state, tmp_path):
    off = ("--socks", "off", "--gateway", "off")
    with up("--network", network, "--state", state, *off, "--api", "127.0.0.1:0") as (_, ready):
        site = f"http://{ready['listeners']['tcp']}"
        token = (state / "run" / "api.token").read_text()
        bearer = ("-H", f"Authorization: Bearer {token}")
        # The token is in every request, whatever is tried in its place; and an address has one
        # alias, so that its card under another one takes the first away.
        excluded = ("--exclude-checks", "ignored_auth,ensure_resource_availability")
        owner = fuzz(site, *bearer, *excluded, cwd=tmp_path)
        # whoever may not ask is not told which methods there are either
        stranger = fuzz(site, "--exclude-checks", "unsupported_method", cwd=tmp_path)
    for printed in (owner, stranger):
        assert f"{OPERATIONS} selected / {OPERATIONS} total" in printed
        assert "FAILURES" not in printed
        assert int(re.search(r"(\d+) generated", printed)[1]) > 20
