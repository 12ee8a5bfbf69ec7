"""Two service processes on one real PostgreSQL: races, a killed process, migrations, a dump."""

import http.client
import json
import os
import signal
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from sqlalchemy import create_engine, inspect

from peerstream.identity.login import migrate, tables
from peerstream.identity.login.config import write_new
from peerstream.identity.login.database import Database
from peerstream.identity.login.secrets import hash_of
from peerstream.identity.login.sql import SqlStore
from peerstream.identity.siwe import SiweMessage, write_time
from tests.identity.login.test_migrations import shape
from tests.identity.login.world import BINDING, REFRESH, SESSION, World, code
from tests.identity.samples import fixed
from tests.identity.siwe.messages import sign
from tests.system.login import postgres
from tests.system.login.programs import service, wait_for

ORIGIN = "http://localhost:8480"
KEY = fixed("postgres wallet")
ATTEMPTS = 200


@pytest.fixture(scope="module")
def cluster():
    # a socket's path has a hundred characters at most
    with postgres.cluster(Path(tempfile.mkdtemp(prefix="psp-pg-"))) as url:
        yield url


@pytest.fixture
def url(cluster, request):
    return postgres.new_database(cluster, f"t{abs(hash(request.node.name))}")


@pytest.fixture
def database(url):
    with closing(Database(url)) as opened:
        yield opened


@pytest.fixture
def config(url, tmp_path):
    path = write_new(tmp_path, ORIGIN)
    lines = [line for line in path.read_text().splitlines() if not line.startswith("database")]
    more = [
        f'database = "{url}"',
        "port = 0",
        "nonces_per_minute = 1e9",
        "attempts_per_minute = 1e9",
    ]
    path.write_text("\n".join([*lines, *more]) + "\n")
    return path


@pytest.fixture
def two(config):
    """Two processes that started together, also on empty tables."""
    with ExitStack() as stack, ThreadPoolExecutor(2) as pool:
        started = list(pool.map(lambda _: stack.enter_context(service(config)), range(2)))
        yield started


class Client:
    """One browser, over plain HTTP."""

    def __init__(self, url, key=KEY):
        self.url, self.key, self.cookies = url, key, {}

    def ask(self, method, path, body=None, cookies=None, url=None):
        address = urlsplit(url or self.url).netloc
        jar = self.cookies if cookies is None else cookies
        headers = {"cookie": "; ".join(f"{name}={value}" for name, value in jar.items())}
        if body is not None:
            headers["content-type"] = "application/json"
        with closing(http.client.HTTPConnection(address, timeout=60)) as connection:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            with connection.getresponse() as response:
                answer = json.loads(response.read())
        for cookie in response.headers.get_all("set-cookie", []):
            name, _, value = cookie.partition(";")[0].partition("=")
            if cookies is None:
                self.cookies[name] = value
        return response.status, answer

    def signed(self):
        _, answer = self.ask("POST", "/siwe/nonce", {})
        message = SiweMessage(
            domain=urlsplit(ORIGIN).netloc,
            address=account(self.key),
            uri=ORIGIN,
            chain_id=1,
            nonce=answer["nonce"],
            issued_at=write_time(int(time.time())),
        )
        return {"message": str(message), "signature": "0x" + sign(message, self.key).hex()}

    def sign_in(self):
        status, answer = self.ask("POST", "/siwe/verify", self.signed())
        assert status == 200, answer
        return answer


def account(key):
    return World().browser(key).account


def at_once(urls, act):
    """Do something 200 times at the same moment, spread over the processes."""
    barrier = threading.Barrier(40)

    def one(number):
        if number < 40:
            barrier.wait(60)
        return act(urls[number % len(urls)])

    with ThreadPoolExecutor(40) as pool:
        return list(pool.map(one, range(ATTEMPTS)))


def test_a_nonce_is_spent_once_by_200_attempts_at_two_processes(two, database):
    urls = [address for _, address in two]
    client = Client(urls[0])
    body, cookies = client.signed(), dict(client.cookies)
    answers = at_once(urls, lambda u: Client(u).ask("POST", "/siwe/verify", body, cookies, u))
    statuses = [status for status, _ in answers]
    assert statuses.count(200) == 1
    assert statuses.count(401) == ATTEMPTS - 1
    assert {answer["code"] for status, answer in answers if status == 401} == {"nonce-spent"}
    assert len(SqlStore(database).sessions_of(account(KEY), 0)) == 1


def test_a_refresh_token_is_spent_once_by_200_attempts_and_the_family_ends(two, database):
    urls = [address for _, address in two]
    client = Client(urls[0])
    client.sign_in()
    other = Client(urls[1])
    other.sign_in()
    cookies = {REFRESH: client.cookies[REFRESH]}
    answers = at_once(urls, lambda u: Client(u).ask("POST", "/siwe/refresh", None, cookies, u))
    statuses = [status for status, _ in answers]
    assert statuses.count(200) == 1
    assert statuses.count(401) == ATTEMPTS - 1
    codes = {answer["code"] for status, answer in answers if status == 401}
    assert "refresh-reused" in codes
    assert codes <= {"refresh-reused", "not-signed-in"}
    assert client.ask("GET", "/siwe/session")[0] == 401
    assert other.ask("GET", "/siwe/session")[0] == 200
    assert len(SqlStore(database).sessions_of(account(KEY), 0)) == 1


def test_logging_out_while_200_refresh_leaves_nothing_and_locks_nothing(two, database):
    urls = [address for _, address in two]
    for _ in range(3):
        client = Client(urls[0])
        client.sign_in()
        jar = dict(client.cookies)

        def act(u, jar=jar):
            path = "/siwe/logout" if threading.get_ident() % 3 == 0 else "/siwe/refresh"
            return Client(u).ask("POST", path, None, jar, u)[0]

        assert set(at_once(urls, act)) <= {200, 401}
        assert client.ask("GET", "/siwe/session", cookies=jar)[0] == 401
    with database.read() as connection:
        assert connection.execute(tables.tokens.select()).all() == []


def test_a_session_of_one_process_is_known_to_the_other(two):
    urls = [address for _, address in two]
    client = Client(urls[0])
    client.sign_in()
    assert client.ask("GET", "/siwe/session", url=urls[1])[0] == 200
    assert client.ask("POST", "/siwe/logout", url=urls[1])[0] == 200
    assert client.ask("GET", "/siwe/session", url=urls[0])[0] == 401
    keys = [client.ask("GET", "/.well-known/jwks.json", url=u)[1] for u in urls]
    assert keys[0] == keys[1]


def test_killing_a_process_in_the_middle_of_logins_loses_no_session(two, database):
    """Whoever was told that they are signed in still are, at the process that is left."""
    (victim, first), (_, second) = two
    told, stop = [], threading.Event()

    def log_in(number):
        key = fixed(f"killed {number}")
        while not stop.is_set():
            client = Client(first, key)
            try:
                client.sign_in()
            except (OSError, http.client.HTTPException):
                return
            told.append((key, client.cookies))

    threads = [threading.Thread(target=log_in, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    wait_for(lambda: len(told) >= 40, "nobody signs in")
    os.kill(victim.pid, signal.SIGKILL)
    victim.wait()
    stop.set()
    for thread in threads:
        thread.join()
    for key, cookies in told:
        status, answer = Client(second).ask("GET", "/siwe/session", cookies=cookies)
        assert status == 200
        assert answer["user"]["walletAddress"] == account(key)
    with database.read() as connection:
        sessions = connection.execute(tables.sessions.select()).all()
        tokens = connection.execute(tables.tokens.select()).all()
    assert len(sessions) >= len(told)
    assert len(tokens) == 2 * len(sessions)  # none was written by half
    Client(second).sign_in()


def test_each_migration_goes_up_and_down_with_rows_in_the_tables(database):
    steps = ["base", *migrate.revisions()]
    shapes = {}
    for step in steps[1:]:
        migrate.upgrade(database, step)
        shapes[step] = shape(database.engine)
    browser = World(SqlStore(database)).browser()
    browser.sign_in()
    assert code(browser.send(browser.message(nonce="a" * 60))) == "invalid-nonce"
    for step in steps[-2::-1]:
        migrate.downgrade(database, step)
        assert shape(database.engine) == shapes.get(step, {})
    migrate.upgrade(database)
    again = World(SqlStore(database)).browser()
    again.sign_in()
    assert again.http.post("/siwe/refresh").is_success


def test_the_history_ends_in_the_tables_that_the_code_uses(database, cluster):
    migrate.upgrade(database)
    made = create_engine(postgres.new_database(cluster, "made"))
    tables.metadata.create_all(made)
    assert shape(database.engine) == shape(made)
    assert inspect(made).has_table("login_tokens")
    made.dispose()


def test_replicas_that_start_together_migrate_once(url, database):
    def start(_):
        with closing(Database(url)) as replica:
            migrate.upgrade(replica)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(start, range(8)))
    assert migrate.current(database) == migrate.revisions()[-1]


def test_a_dump_holds_no_token_no_nonce_no_mail_and_no_address_of_a_network(two, url):
    client = Client(two[0][1])
    body = client.signed()
    status, answer = client.ask("POST", "/siwe/verify", {**body, "email": "a@example.org"})
    assert status == 200
    client.ask("POST", "/siwe/refresh")
    found = postgres.dump(url)
    assert account(KEY) in found
    nonce = next(line for line in body["message"].split("\n") if line.startswith("Nonce: "))[7:]
    cookies = [client.cookies[name] for name in (SESSION, REFRESH, BINDING)]
    for secret in (nonce, answer["token"], *cookies, "example.org", "127.0.0.1", "::1", '"d"'):
        assert secret
        assert secret not in found
    for token in cookies[:2]:
        assert hash_of(token).hex() in found


def test_stores_sweep_what_is_over(database):
    migrate.upgrade(database)
    world = World(SqlStore(database))
    world.browser().sign_in()
    assert world.store.sweep(world.clock(), 100) == 0
    world.clock.now += world.auth.service.settings.family_seconds
    assert world.store.sweep(world.clock(), 100) >= 4
    with database.read() as connection:
        for table in (tables.nonces, tables.sessions, tables.tokens):
            assert connection.execute(table.select()).all() == []
