"""A body on its way over a session."""

from peerstream.node.protocol.session import events as ev
from tests.node.protocol.session.joined import entropy_of


def payload(size, seed=1):
    return entropy_of(seed)(size)


class Transfer:
    """Sends a body on a stream and collects it at the other end."""

    def __init__(self, network, body, sender=0, service="files"):
        self.network, self.body = network, body
        self.source, self.sink = network.ends[sender], network.ends[1 - sender]
        self.stream = self.source.open_stream(service)
        self.offset, self.got, self.ended = 0, b"", False

    def push(self):
        if self.offset < len(self.body):
            self.offset += self.source.send(self.stream, self.body[self.offset :][:200_000])
            if self.offset == len(self.body):
                self.source.send_end(self.stream)

    def pull(self, limit=1 << 30):
        self.got += self.sink.receive(self.stream, limit)

    @property
    def done(self):
        return len(self.got) == len(self.body)

    def run(self, seconds=60.0, step=0.02):
        for _ in range(int(seconds / step)):
            self.push()
            self.network.run(step)
            if any(e.stream == self.stream for e in self.opened()):
                self.pull()
            if self.done:
                return
        raise AssertionError(f"{len(self.got)} of {len(self.body)} bytes arrived")

    def opened(self):
        log = self.network.log[1 if self.source is self.network.caller else 0]
        return [e for e in log if isinstance(e, ev.StreamOpened)]


def kill_during(network, transfer, when, kill):
    for step in range(400):
        transfer.push()
        network.run(0.003)
        if step == when:
            kill()
        if transfer.opened():
            transfer.pull()
        if transfer.done:
            return
    transfer.run()
