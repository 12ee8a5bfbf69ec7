"""The local API on real sockets, before a daemon that is in memory alone."""

import json
import socket
from contextlib import asynccontextmanager, contextmanager, suppress

import trio

from peerstream.node.gateway.service_spec import ServiceSpec
from peerstream.node.http import schemas
from peerstream.node.http.app import make_app
from peerstream.node.http.events import Events
from peerstream.node.http.guard import Door, Guard
from peerstream.node.http.server import ApiServer
from peerstream.node.library.daemon.errors import UnknownServiceError
from peerstream.node.store import run_folder
from peerstream.node.store.errors import UnknownContactError

TOKEN = "t" * 43
ACCOUNT = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"
CARD = f"psp:{ACCOUNT}?k=" + "ab" * 32


class MemoryDaemon:
    """What the API asks of a daemon, without a node."""

    def __init__(self):
        self.ready = True
        self.broken = False
        self.kept = {}
        self.exposed = {}
        self.happened = Events()

    def status(self):
        if self.broken:
            raise ZeroDivisionError("a secret of ours")
        return schemas.Status(
            version="0", pid=1, state="/s", mode="static", network_id="0x00", started=1,
            draining=False, account=None, listed=None, delegation_ends=None,
            certificate_ends=None, directory="usable", relays=3, links=1, circuits=2, sessions=0,
            streams=0, sent=0, received=0, services=[], contacts=len(self.kept),
            listeners=schemas.Listeners(), causes={},
        )  # fmt: skip

    def card(self):
        return schemas.Card(
            account=ACCOUNT, identity_key="0x", network_id="0x", listed=True, label="", issued=1,
            not_after=2, certificate_not_after=2, device_key="0x", card=CARD,
        )  # fmt: skip

    def circuits(self):
        return schemas.Circuits(guards=["00"], sessions=[])

    def contacts(self):
        return [schemas.Contact(alias=alias, account=ACCOUNT, listed=True) for alias in self.kept]

    def add_contact(self, contact):
        self.kept[contact.alias] = contact.card

    def remove_contact(self, alias):
        if alias not in self.kept:
            raise UnknownContactError(alias)
        del self.kept[alias]

    def services(self):
        return [schemas.Service(name=name, target=to) for name, to in self.exposed.items()]

    async def expose(self, service):
        ServiceSpec.of_table(service.model_dump())
        self.exposed[service.name] = service.target

    def withdraw(self, name):
        if name not in self.exposed:
            raise UnknownServiceError(name)
        del self.exposed[name]

    async def checks(self):
        return [schemas.Check(name="clock", ok=True, found="", fix="")]

    def counts(self):
        return {"ready": 1, "links": 2, "faults_total": 3}

    @contextmanager
    def events(self):
        with self.happened.listen() as channel:
            yield channel


class Answer:
    def __init__(self, data):
        head, _, self.body = data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split()[1])
        pairs = [line.partition(": ") for line in lines[1:]]
        self.headers = {name.lower(): value for name, _, value in pairs}

    def json(self):
        return json.loads(self.body)


class Served:
    """Asks byte by byte: what no client library would send."""

    def __init__(self, daemon, folder, port, bugs):
        self.daemon, self.folder, self.port, self.bugs = daemon, folder, port, bugs

    async def connect(self, *, by_port=False):
        if by_port:
            return await trio.open_tcp_stream("127.0.0.1", self.port)
        made = await trio.to_thread.run_sync(run_folder.connect, self.folder, run_folder.API_SOCKET)
        return trio.SocketStream(trio.socket.from_stdlib_socket(made))

    async def raw(self, data, *, by_port=False):
        """Send bytes and return all that comes until the end, however it comes."""
        got = b""
        async with await self.connect(by_port=by_port) as stream:
            with trio.fail_after(20), suppress(trio.BrokenResourceError):
                await stream.send_all(data)
                while piece := await stream.receive_some(65_536):
                    got += piece
        return got

    async def ask(self, method, path, *, body=None, by_port=False, **headers):
        """Ask with the headers of a client of ours, changed by `headers`; None drops one."""
        host = f"localhost:{self.port}" if by_port else "localhost"
        sent = {"host": host, "connection": "close"}
        if by_port:
            sent["authorization"] = f"Bearer {TOKEN}"
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        data = b"" if body is None else data
        if body is not None:
            sent |= {"content-type": "application/json", "content-length": str(len(data))}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = [f"{method} {path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in sent.items() if value is not None]
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        return Answer(await self.raw(head + data, by_port=by_port))


@asynccontextmanager
async def served(folder):
    """Serve on a socket in the folder, and on a port."""
    daemon, bugs = MemoryDaemon(), []
    app = make_app(daemon)
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    async with trio.open_nursery() as nursery:
        inner = Guard(app, Door.of_socket(), bugs.append)
        made = run_folder.listen(folder, run_folder.API_SOCKET)
        await nursery.start(ApiServer(inner).serve, made)
        outer = Guard(app, Door.of_port(port, TOKEN), bugs.append)
        await nursery.start(ApiServer(outer).serve, listener)
        yield Served(daemon, folder, port, bugs)
        nursery.cancel_scope.cancel()
