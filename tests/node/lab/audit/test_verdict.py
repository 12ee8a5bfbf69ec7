"""From files of records to findings: guards are exempt, silence is a failure, who knew what."""

from pathlib import Path

import pytest

from peerstream.node.lab.audit.facts import Fact, Known
from peerstream.node.lab.audit.places import records_path
from peerstream.node.lab.audit.play import Played, chosen
from peerstream.node.lab.audit.recorder import Recorder, Tap
from peerstream.node.lab.audit.scenarios import SCENARIOS
from peerstream.node.lab.audit.stage import ADDRESSES, StageOptions
from peerstream.node.lab.audit.verdict import judge
from peerstream.node.lab.audit.view import Source
from tests.node.cli.shapes import require_shape
from tests.node.lab.audit.scenes import ADDRESS, CALLER, IP, NAME

CONTENT = Fact("content", "file")
RPC = ("127.0.0.1", 8_545)
MARKER = b"a mark in the content of a file"
RELAYS = ("relay-01", "relay-02", "relay-03")


class Run:
    """Files of a run, as its processes would have left them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.recorders = {}
        places = [(name, "relay", f"127.{n}.0.1") for n, name in enumerate(RELAYS, 1)]
        places += [(party, party, ip) for party, ip in ADDRESSES.items()]
        self.sources = []
        for name, role, ip in places:
            log, files = directory / f"{name}.log", directory / name
            log.write_bytes(b"")
            files.mkdir()
            path = records_path(directory, name)
            self.sources.append(Source(name, role, ip, path, log, files))
            recorder = self.recorders[name] = Recorder()
            recorder.begin(path)
            recorder.write(Tap.EVENT, 0, b"open", b"something")

    def connect(self, name, peer, data, tap=Tap.RECEIVED):
        recorder = self.recorders[name]
        connection = recorder.context()
        opened = Tap.ACCEPTED if tap is Tap.RECEIVED else Tap.CONNECTED
        recorder.write(opened, connection, repr(peer).encode())
        recorder.write(tap, connection, data)

    def judge(self, guards=None):
        return judge(
            Played(
                options=StageOptions(directory=self.directory, relays=3, level=2, seed=0),
                scenes=[("publish", 0.0)],
                known=Known.of(ADDRESSES, [(NAME, ADDRESS), (CONTENT, MARKER)]),
                sources=self.sources,
                guards=guards or {"caller": frozenset(), "callee": frozenset()},
                rpc=RPC,
            )
        )


@pytest.fixture
def run(tmp_path):
    found = Run(tmp_path)
    found.connect("caller", RPC, b'{"method": "eth_getLogs"}', Tap.SENT)
    return found


def report(verdict):
    values = {"level": "anonymous", "scenarios": [], "seed": 0, "relays": 3, "plant": None}
    return {"schema": "psp.audit/1", "ok": verdict.ok, **values, **verdict.to_json()}


def test_nothing_known_is_nothing_found(run):
    found = run.judge()
    assert found.ok
    assert (found.checked, found.exempt) == (6, 0)  # three relays and the endpoint
    assert report(found)["findings"] == []
    require_shape(report(found))


def test_what_one_relay_links_is_found_and_told(run):
    run.connect("relay-02", (CALLER, 5_000), b"I am " + ADDRESS)
    found = run.judge()
    assert not found.ok
    (finding,) = report(found)["findings"]
    assert finding == {
        "who": ["relay-02"],
        "scenario": "publish",
        "facts": ["ip:caller", "address:callee"],
        "through": "relay-02 connection 1",
        "layer": "socket",
        "record": 2,
    }
    require_shape(report(found))


def test_two_connections_of_one_relay_are_not_linked(run):
    run.connect("relay-02", (CALLER, 5_000), b"a client")
    run.connect("relay-02", ("127.3.0.1", 5_000), ADDRESS)
    found = run.judge()
    assert found.ok
    assert found.who_knew(IP, NAME) == ["relay-02"]
    assert found.who_knew(CONTENT) == []


def test_content_is_found_wherever_it_is(run):
    run.sources[0].files.joinpath("kept").write_bytes(b"..." + MARKER)
    (finding,) = run.judge().findings
    assert (finding.who, finding.facts) == (("relay-01",), (CONTENT,))
    assert finding.to_json()["layer"] == "file"


def test_a_party_may_know_everything(run):
    run.connect("callee", (CALLER, 5_000), ADDRESS + MARKER)
    found = run.judge()
    assert found.ok
    assert found.who_knew(IP, NAME, CONTENT) == ["callee"]


def test_the_chain_s_endpoint_is_known_by_what_it_is_asked(run):
    run.connect("caller", RPC, b"balance of 0x" + ADDRESS.hex().encode(), Tap.SENT)
    (finding,) = run.judge().findings
    assert (finding.who, finding.facts) == (("rpc",), (IP, NAME))


def test_what_the_endpoint_answers_is_public(run):
    run.connect("caller", RPC, ADDRESS.hex().encode(), Tap.RECEIVED)
    assert run.judge().ok


def two_that_share(run):
    secret = bytes(range(100, 164))
    run.sources[0].log.write_bytes(b"127.201.0.1 " + secret)
    run.sources[1].log.write_bytes(secret + ADDRESS)


def test_two_relays_link_by_what_they_share(run):
    two_that_share(run)
    (finding,) = run.judge().findings
    assert (finding.who, finding.facts) == (("relay-01", "relay-02"), (IP, NAME))
    assert [f.facts for f in run.judge().could_know("relay-01", "relay-02")] == [(IP, NAME)]
    assert run.judge().could_know("relay-01", "relay-03") == []


def test_whoever_wrote_nothing_down_fails_the_audit(run):
    records_path(run.directory, "relay-03").write_bytes(b"")
    found = run.judge()
    assert (found.ok, found.findings, found.silent) == (False, [], ["relay-03"])


def test_scenarios_are_played_in_their_order():
    assert chosen([]) == list(SCENARIOS)
    assert chosen(["file", "dial"]) == ["publish", "dial", "file"]
    assert next(iter(SCENARIOS)) == "publish"
    assert list(SCENARIOS)[-1] == "resume"
