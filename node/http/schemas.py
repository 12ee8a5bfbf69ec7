"""What the local API takes and gives, as JSON (SPEC 17.7). Times are in unix seconds."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Text = Annotated[str, Field(max_length=512)]
Alias = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
ServiceName = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
Level = Literal["anonymous", "private"]


class Model(BaseModel):
    """Exactly these fields, of exactly these types."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Problem(Model):
    """A refusal (RFC 9457): code is for programs, detail for people."""

    type: str
    title: str
    status: int
    code: str
    detail: str


class Listeners(Model):
    """Where the daemon can be reached; null for what is off."""

    socks: str | None = None
    http: str | None = None
    api: str | None = None
    tcp: str | None = None
    streams: str | None = None


class Status(Model):
    """How the daemon does. directory: what it knows of the relays' keys."""

    version: str
    pid: int
    state: str
    mode: str
    network_id: str
    started: int
    draining: bool
    account: str | None
    listed: bool | None
    delegation_ends: int | None
    certificate_ends: int | None
    directory: Literal["none", "usable", "complete"]
    relays: int
    links: int
    circuits: int
    sessions: int
    streams: int
    sent: int
    received: int
    services: list[str]
    contacts: int
    listeners: Listeners
    causes: dict[str, int]


class Card(Model):
    """The identity, and the card to give to contacts: an unlisted one lets its holder dial."""

    account: str
    identity_key: str
    network_id: str
    listed: bool
    label: str
    issued: int
    not_after: int
    certificate_not_after: int
    device_key: str
    card: str


class Contact(Model):
    """A contact, without the secret of its card."""

    alias: str
    account: str
    listed: bool


class NewContact(Model):
    """A contact to keep."""

    alias: Alias
    card: Annotated[str, Field(max_length=256)]


class Service(Model):
    """What is exposed under a name (SPEC 19.1).

    target: HOST:PORT, unix:PATH or udp:HOST:PORT. allow: addresses, `contacts`, or `anyone` alone;
    empty for every verified caller. level: the least that callers may use, null for the daemon's.
    """

    name: ServiceName
    target: Text
    allow: Annotated[list[Text], Field(max_length=4_096)] = []
    level: Level | None = None
    proxy_protocol: bool = False
    http: bool = False


class Session(Model):
    """A session and what carries it. peer: an alias or address, null for a caller without a name.

    called: whether they called us. sent, received: bytes of programs since it began. ways: the hops
    of our half of each path, guard first, as the first 8 hexadecimal digits of their relay ids; the
    path that carries data now comes first.
    """

    peer: str | None
    called: bool
    level: Level
    streams: int
    sent: int
    received: int
    round_trip_ms: float
    ways: list[list[str]]


class Circuits(Model):
    """Who talks to whom over which relays: for the owner alone."""

    guards: list[str]
    sessions: list[Session]


class Check(Model):
    """One line of a self-test. fix: what to do; empty when it is ok."""

    name: str
    ok: bool
    found: str
    fix: str


class Checks(Model):
    """A self-test."""

    checks: list[Check]


class Event(Model):
    """What happened. data: of a `status` event the whole of `Status`."""

    event: Literal["status", "contacts", "services", "draining"]
    at: int
    data: Status | None = None


class Services(Model):
    """What is exposed."""

    services: list[Service]


class Contacts(Model):
    """The contacts by alias."""

    contacts: list[Contact]


class Done(Model):
    """It was done."""

    done: Literal[True]


class Live(Model):
    """The process runs."""

    live: Literal[True]


class Ready(Model):
    """The daemon dials, and takes more."""

    ready: Literal[True]
