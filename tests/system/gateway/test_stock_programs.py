"""Programs of Debian, unchanged, reach an address: curl, ssh, git, psql, rsync, dig (SPEC 16)."""

import hashlib
import os
import secrets
import subprocess
import sys

import pytest

from tests.system.gateway.conftest import MEGABYTE, PSP
from tests.system.gateway.servers import PATIENCE_S, run

PROXY_COMMAND = f"{sys.executable} -m peerstream.node.cli nc %h %p"


def socks(caller):
    return ["--socks5-hostname", f"127.0.0.1:{caller.port}"]


def tunnel(caller):
    return ["--proxytunnel", "--proxy", f"http://127.0.0.1:{caller.port}"]


def curl(*words):
    return run(["curl", "-sS", "--max-time", str(2 * PATIENCE_S), *words])


def refused(*words):
    """Return curl's exit code and what it said."""
    command = ["curl", "-sS", "--max-time", str(2 * PATIENCE_S), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == ""
    return done.returncode, done.stderr


@pytest.fixture
def blob(callee):
    """A file of random bytes that the web server has."""
    data = secrets.token_bytes(10 * MEGABYTE)
    (callee.files / "blob").write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_curl_by_socks_and_by_connect(callee, caller, blob, tmp_path):
    ways = {
        "socks": socks(caller),
        "user": ["--proxy", f"socks5h://user:password@127.0.0.1:{caller.port}"],
        "connect": tunnel(caller),
        "proxy-user": [*tunnel(caller), "--proxy-user", "user:password"],
    }
    for name, way in ways.items():
        for host in (callee.host, f"web.{callee.host}", f"{callee.host.lower()}:80"):
            curl(*way, f"http://{host}/blob", "-o", tmp_path / name, "--range", "0-9999")
        curl(*way, f"http://{callee.host}/blob", "-o", tmp_path / name)
        assert sha256(tmp_path / name) == blob


def test_another_user_has_another_session(callee, caller):
    (callee.files / "hello").write_text("hello")

    def sessions(user):
        way = f"socks5h://{user}:x@127.0.0.1:{caller.port}"
        assert curl("--proxy", way, f"http://{callee.host}/hello").stdout == "hello"
        return len(caller.circuits()["sessions"])

    first = sessions("one")
    assert sessions("one") == first
    assert sessions("two") == first + 1


@pytest.mark.parametrize(
    ("host", "code"),
    [
        ("example.com", 2),
        ("127.0.0.1", 2),
        ("localhost", 2),
        ("10.0.0.1", 2),
        ("example.com.psp.alt.example.com", 2),
        ("0x000000000000000000000000000000000000dead.psp.alt", 4),
        ("stranger.psp.alt", 4),
        ("vitalik.eth", 4),
    ],
)
def test_what_is_outside_is_refused(caller, host, code):
    exit_code, said = refused(*socks(caller), f"http://{host}/")
    assert exit_code == 97, said
    assert f"({code})" in said
    exit_code, said = refused(*tunnel(caller), f"http://{host}/")
    assert exit_code == 56, said


def test_what_is_not_offered_or_not_there_is_a_refused_connection(callee, caller):
    for host in (f"nothing.{callee.host}", f"nobody.{callee.host}", f"{callee.host}:9"):
        exit_code, said = refused(*socks(caller), f"http://{host}/")
        assert (exit_code, "(5)" in said) == (97, True), said


def ssh_options(callee):
    return [
        *("-i", callee.ssh / "id", "-F", "none"),
        *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"),
        *("-o", "LogLevel=ERROR", "-o", "BatchMode=yes"),
    ]


@pytest.fixture(scope="module")
def dave(network):
    """Somebody with a name who uses commands, not the daemon."""
    network.make_identity("dave")
    return network.environment | {"PSP_STATE": str(network.home / "dave")}


def test_ssh_by_a_proxy_command_and_as_plain_tcp(network, callee, dave, tmp_path):
    line = "cat; echo done >&2; exit 7"
    data = secrets.token_bytes(MEGABYTE)
    proxied = ["-o", f"ProxyCommand={PROXY_COMMAND}", callee.host]
    done = subprocess.run(
        ["ssh", *map(str, ssh_options(callee)), *proxied, line],
        input=data, capture_output=True, check=False, env=dave, timeout=4 * PATIENCE_S,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (7, b"done\n")
    assert done.stdout == data
    words = ["forward", 0, f"{callee.address}:22", "--anonymous", "--state", tmp_path / "nobody"]
    with network.going(*words) as (found, _):
        port = found["listen"].rpartition(":")[2]
        plain = ["ssh", *ssh_options(callee), "-p", port, "127.0.0.1", "echo plain"]
        assert run(plain).stdout == "plain\n"


def test_git_clones_over_ssh_and_http(callee, caller, dave, tmp_path):
    here = tmp_path / "here"
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@a", "-c", "protocol.version=2"]
    run([*git, "init", "-q", here])
    for number in range(5):
        (here / f"file{number}").write_bytes(secrets.token_bytes(MEGABYTE))
        run([*git, "-C", here, "add", "."])
        run([*git, "-C", here, "commit", "-q", "-m", f"commit {number}"])
    bare = callee.files / "repository.git"
    run([*git, "clone", "-q", "--bare", here, bare])
    run([*git, "-C", bare, "update-server-info"])
    command = " ".join(map(str, ssh_options(callee)))
    environment = dave | {"GIT_SSH_COMMAND": f"ssh {command} -o 'ProxyCommand={PROXY_COMMAND}'"}
    run([*git, "clone", "-q", f"{callee.host}:{bare}", tmp_path / "ssh"], env=environment)
    proxy = f"http.proxy=socks5h://127.0.0.1:{caller.port}"
    url = f"http://{callee.host}/repository.git"
    run([*git, "-c", proxy, "clone", "-q", url, tmp_path / "http"])
    wanted = run([*git, "-C", here, "rev-parse", "HEAD"]).stdout
    for copy in ("ssh", "http"):
        assert run([*git, "-C", tmp_path / copy, "rev-parse", "HEAD"]).stdout == wanted
        assert run([*git, "-C", tmp_path / copy, "fsck", "--no-progress"]).returncode == 0


def test_psql_asks_a_database(network, callee, tmp_path):
    words = ["forward", 0, f"{callee.address}:5432", "--anonymous", "--state", tmp_path / "nobody"]
    with network.going(*words) as (found, _):
        port = found["listen"].rpartition(":")[2]
        place = ["psql", "-h", "127.0.0.1", "-p", port, "-U", "login", "-d", "postgres", "-AtX"]
        assert run([*place, "-c", "select 6 * 7"]).stdout == "42\n"
        many = run(
            [*place, "-c", "select repeat(md5(i::text), 30) from generate_series(1, 5000) i"]
        )
        assert len(many.stdout) == 5_000 * 961


def test_rsync_takes_its_files_through_connect(callee, caller, tmp_path):
    size = int(os.environ.get("PSP_RSYNC_MEGABYTES", "12")) * MEGABYTE
    piece = 4 * MEGABYTE
    for number in range(size // piece):
        (callee.rsync / f"part{number:03}").write_bytes(secrets.token_bytes(piece))
    environment = os.environ | {"RSYNC_PROXY": f"127.0.0.1:{caller.port}"}
    source = f"rsync://{callee.host}/files/"
    limit = max(4 * PATIENCE_S, size / MEGABYTE)
    subprocess.run(
        ["rsync", "-a", source, tmp_path / "copy"], check=True, env=environment, timeout=limit
    )
    for part in callee.rsync.iterdir():
        assert sha256(tmp_path / "copy" / part.name) == sha256(part)
    again = run(["rsync", "-a", "--itemize-changes", source, tmp_path / "copy"], env=environment)
    assert again.stdout == ""


@pytest.mark.parametrize("who", ["nobody", "bob"])
def test_dig_asks_a_name_server_by_datagrams(network, callee, caller, who):
    words = ["forward", 0, f"{callee.address}:53", "--udp", "--anonymous"]
    with network.going(*words, "--state", network.home / who) as (found, _):
        port = found["listen"].rpartition(":")[2]
        asked = ["dig", "@127.0.0.1", "-p", port, "+short", "+time=20", "any.example", "TXT"]
        assert run(asked).stdout == '"hello"\n'


@pytest.mark.parametrize("who", ["dave", "bob"])
def test_a_pipe_is_joined_to_a_service(network, callee, caller, dave, who):
    """By a node of the command's own, and through the daemon that runs on its state directory."""
    dave = dave | {"PSP_STATE": str(network.home / who)}
    data = secrets.token_bytes(MEGABYTE)
    done = subprocess.run(
        [*PSP, "pipe", callee.address, "echo"],
        input=data, capture_output=True, check=False, env=dave, timeout=4 * PATIENCE_S,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == data
    gone = subprocess.run(
        [*PSP, "nc", callee.host, "9"],
        input=b"", capture_output=True, check=False, env=dave, timeout=4 * PATIENCE_S,
    )  # fmt: skip
    assert (gone.returncode, gone.stdout) == (4, b"")
    assert gone.stderr.startswith(b"psp: CallDeniedError: ")
