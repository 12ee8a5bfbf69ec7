"""Two addresses in one Chromium: what is theirs stays theirs, and nothing leaves the network."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from peerstream.node.lab.places import free_endpoint
from tests.node.cli.shapes import require_shape
from tests.system.gateway_browser.sites import Elsewhere, Site
from tests.system.login.programs import PATIENCE_S, Server, npm_packages, run, tool

HERE = Path(__file__).parent
PAGE = Path(__file__).parents[3] / "docs" / "expose.md"
EXPOSE, HELLO, CHROMIUM = re.findall(
    r"^```(?:sh|python)\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
)
PSP = [sys.executable, "-m", "peerstream.node.cli"]
RELAYS = 6
NAMES = [
    "bothSideBySide",
    "cookiesDoNotCross",
    "storageDoesNotCross",
    "workersDoNotCross",
    "cameraAndWebSocket",
    "otherPagesCannotCall",
    "pagesReachNobodyElse",
    "whatFailsIsAPage",
    "nothingLeavesABrowserBehindTheFront",
]


def psp(*tokens):
    return json.loads(run(*PSP, *tokens, "--json").splitlines()[-1])


@contextmanager
def going_on(*tokens):
    """Run a command that goes on once it is ready; gives the object that it printed."""
    command = [*PSP, *map(str, tokens), "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        found = json.loads(process.stdout.readline())
        require_shape(found)
        yield found
    finally:
        process.terminate()
        process.wait(PATIENCE_S)
        process.stdout.close()


def expose_of_the_page(network, state, *services):
    """Return the arguments of the page's `psp expose`, for services of ours."""
    _, *words = shlex.split(EXPOSE)
    ours = {"web=127.0.0.1:8080": services, "NETWORK": (network,), "alice": (state,)}
    return [word for written in words for word in ours.get(written, (written,))]


def program_of_the_page():
    """Return the page's web application."""
    found = {}
    exec(compile(HELLO, PAGE.name, "exec"), found)
    return found["app"]


def curl(*arguments):
    done = subprocess.run(
        ["curl", "--silent", "--show-error", "--max-time", str(PATIENCE_S), *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


class World:
    """A private network, and identities on it."""

    def __init__(self, directory):
        self.directory = directory
        home = directory / "net"
        found = psp("devnet", "up", "--relays", RELAYS, "--state-dir", home)
        self.network = found["network_file"]

    def end(self):
        psp("devnet", "down", "--state-dir", self.directory / "net")

    def person(self, name, number):
        key = self.directory / f"{name}.key"
        key.write_text(f"{number:064x}")
        key.chmod(0o600)
        state = self.directory / name
        psp("id", "new", "--network", self.network, "--wallet-key", key, "--state", state)
        return state


@dataclass
class Outcomes:
    """errors: by scenario. said: what curl got, without and with headers that claim a name."""

    errors: dict[str, str | None]
    alice: Site
    elsewhere: Elsewhere
    caller: str
    said: tuple[str, str]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """Play all scenarios in one browser, through one daemon, on the sites of two addresses."""
    npm_packages(HERE)
    directory = tmp_path_factory.mktemp("browser")
    alice, bob, elsewhere = Site("Alice", "crimson"), Site("Bob", "teal"), Elsewhere()
    with ExitStack() as stack:
        serve = {"lifespan": "off", "ws": "wsproto"}
        ports = [
            stack.enter_context(Server.serving(app, **serve))
            for app in (alice.app, bob.app, elsewhere.app, program_of_the_page())
        ]
        world = World(directory)
        stack.callback(world.end)
        dead = free_endpoint("127.0.0.1").port
        services = [
            (f"web={ports[0]}", f"chat={dead}", f"hello={ports[3]}"),
            (f"web={ports[1]}",),
        ]
        cards, addresses = [], []
        for number, (name, exposed) in enumerate(zip(("alice", "bob"), services, strict=True), 1):
            state = world.person(name, number)
            command = expose_of_the_page(world.network, state, *exposed)
            found = stack.enter_context(going_on(*command, "--http"))
            cards.append(found["card"])
            addresses.append(found["address"].lower())
        caller = world.person("carol", 3)
        for name, card in zip(("alice", "bob"), cards, strict=True):
            psp("contact", "add", name, card, "--state", caller)
        ways = ("--socks", "127.0.0.1:0", "--gateway", "127.0.0.1:0")
        command = ("up", "--network", world.network, "--state", caller)
        up = stack.enter_context(going_on(*command, *ways))
        port = up["listeners"]["http"].rpartition(":")[2]
        elsewhere.url = f"http://{addresses[0]}.localhost:{port}/"
        config = {
            "alice": f"http://{addresses[0]}.localhost:{port}/",
            "bob": f"http://{addresses[1]}.localhost:{port}/",
            "dead": f"http://chat-{addresses[0]}.localhost:{port}/",
            "elsewhere": f"http://127.0.0.1:{ports[2]}/",
            "caller": up["account"],
            "confining": [
                flag.replace("127.0.0.1:9450", up["listeners"]["socks"])
                for flag in shlex.split(CHROMIUM)
                if flag.startswith(("--proxy", "--webrtc"))
            ],
            "executablePath": shutil.which("chromium"),
            "shots": str(directory),
        }
        printed = run(tool("node"), "scenarios.mjs", json.dumps(config), cwd=HERE)
        hello = f"http://hello-{addresses[0]}.localhost:{port}/"
        said = curl(hello), curl("-H", "X-PSP-Peer: 0xdead", "-H", "X_PSP_Peer: 0xdead", hello)
    lines = {line["name"]: line["error"] for line in map(json.loads, printed.splitlines())}
    return Outcomes(lines, alice, elsewhere, up["account"], said)


def test_every_scenario_is_listed(outcomes):
    assert list(outcomes.errors) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_scenario(outcomes, name):
    assert outcomes.errors[name] is None, outcomes.errors[name]


def test_no_other_page_reached_an_address(outcomes):
    """An ordinary page and a neighbour tried images, frames, scripts, fetches, posts, sockets."""
    assert set(outcomes.alice.paths) <= {"/", "/favicon.ico"}


def test_a_page_of_an_address_reached_nobody_else(outcomes):
    """It tried images, scripts, frames, styles, fetches, beacons, events, sockets, forms."""
    assert outcomes.elsewhere.asked == []


def test_curl_says_who_calls_and_cannot_say_it_otherwise(outcomes):
    assert outcomes.said == (f'"hello {outcomes.caller}"',) * 2
