"""A network at half its load for a long time: does it grow, slow down or fail? (SPEC 14.9)."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from threading import Event, Lock, Thread
from typing import Any, Final

from peerstream.node.lab.bench.applications import Bulk, dial, echo
from peerstream.node.lab.bench.meter import MB, memory_of
from peerstream.node.lab.bench.paced import PacedFlow
from peerstream.node.lab.bench.socks import Place
from peerstream.node.lab.bench.subject import Subject
from peerstream.node.lab.bench.target import BLOCK

_ECHO_EVERY_S: Final = 1.0
_DIAL_EVERY_S: Final = 10.0
_TRIAL_MB: Final = 60
_ERRORS_MAX: Final = 20  # told by name; all are counted


@dataclass(frozen=True, slots=True)
class SoakPlan:
    """How long, and how much. flows: half of them each way. load: of what they move unhindered.

    sample_s: between two looks at memory and throughput.
    """

    seconds: float = 3_600.0
    flows: int = 4
    load: float = 0.5
    sample_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Sample:
    """One look. at_s: since the beginning; memory in MB, of relays the mean; MB/s since the last.

    echo_ms: the median of the echoes since then, None when there was none.
    """

    at_s: float
    relay_mb: float
    caller_mb: float
    callee_mb: float
    mb_s: float
    echo_ms: float | None


@dataclass(slots=True)
class Soak:
    """Runs a plan on a network. It blocks: run it in a thread. tell: is shown each sample."""

    subject: Subject
    plan: SoakPlan
    tell: Callable[[Sample], None]
    samples: list[Sample] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    error_count: int = 0
    dials: int = 0
    _echoes: list[float] = field(default_factory=list)
    _over: Event = field(default_factory=Event)
    _lock: Lock = field(default_factory=Lock)

    def run(self) -> dict[str, Any]:
        """Return what came of it: figures, samples, errors."""
        full = self._full_rate()
        rate = full * self.plan.load / self.plan.flows
        flows = [
            PacedFlow(place, rate, upload=number % 2 == 1, fail=self._fail, over=self._over)
            for number, place in enumerate(self.subject.places(self.plan.flows))
        ]
        acts = [*(flow.run for flow in flows), self._keep_echoing, self._keep_dialling]
        threads = [Thread(target=act, daemon=True) for act in acts]
        for thread in threads:
            thread.start()
        self._look_on(flows)
        self._over.set()
        for thread in threads:
            thread.join()
        return {
            "seconds": round(self.samples[-1].at_s),
            "full_mb_s": round(full, 1),
            "wanted_mb_s": round(full * self.plan.load, 1),
            "dials": self.dials,
            "errors": self.error_count,
            "error_texts": self.errors,
            **flatness(self.samples),
            "samples": [
                [s.at_s, s.relay_mb, s.caller_mb, s.callee_mb, s.mb_s, s.echo_ms]
                for s in self.samples
            ],
        }

    def _full_rate(self) -> float:
        """MB/s of the flows unhindered, both ways alike."""
        rates = []
        for upload in (False, True):
            bulk = Bulk(self.subject.places(self.plan.flows), upload=upload)
            bulk.dial()
            began = time.monotonic()
            moved = bulk.move(_TRIAL_MB * int(MB) // self.plan.flows // BLOCK)
            rates.append(moved / (time.monotonic() - began) / MB)
            for failure in bulk.failures:
                self._fail(f"trial: {failure}")
        return min(rates)

    def _look_on(self, flows: list[PacedFlow]) -> None:
        began = last = time.monotonic()
        moved = 0
        while last - began < self.plan.seconds:
            time.sleep(self.plan.sample_s)
            now, total = time.monotonic(), sum(flow.moved for flow in flows)
            sample = self._sample(now - began, (total - moved) / MB / (now - last))
            last, moved = now, total
            self.samples.append(sample)
            self.tell(sample)

    def _sample(self, at_s: float, mb_s: float) -> Sample:
        mean = {
            role: sum(memory_of(pid).resident for pid in pids) / len(pids)
            for role, pids in self.subject.roles.items()
        }
        with self._lock:
            echoes, self._echoes = self._echoes, []
        return Sample(
            at_s=round(at_s, 1),
            relay_mb=round(mean["relay"], 2),
            caller_mb=round(mean["caller"], 2),
            callee_mb=round(mean["callee"], 2),
            mb_s=round(mb_s, 2),
            echo_ms=round(median(echoes) * 1e3, 2) if echoes else None,
        )

    def _keep_echoing(self) -> None:
        place = self.subject.places(1)[0]
        while not self._over.is_set():
            try:
                self._echo_on(place)
            except OSError as error:
                self._fail(f"echo: {error}")

    def _echo_on(self, place: Place) -> None:
        """Echo on one stream until the end. Raises OSError."""
        stream, _ = dial(place)
        with stream:
            while not self._over.wait(_ECHO_EVERY_S):
                [took] = echo(stream, 1)
                with self._lock:
                    self._echoes.append(took)

    def _keep_dialling(self) -> None:
        while not self._over.wait(_DIAL_EVERY_S):
            try:
                stream, _ = dial(self.subject.places(1)[0])
            except OSError as error:
                self._fail(f"dial: {error}")
            else:
                stream.close()
                self.dials += 1

    def _fail(self, text: str) -> None:
        with self._lock:
            self.error_count += 1
            if len(self.errors) < _ERRORS_MAX:
                self.errors.append(text)


def flatness(samples: list[Sample]) -> dict[str, float]:
    """Return how the last third of the time compares with the middle one, by median; 1 is flat.

    Not with the first: caches fill, and every allocator keeps what it had at the peak.
    """
    third = max(1, len(samples) // 3)
    middle, last = samples[third : 2 * third] or samples, samples[-third:]

    def ratio(name: str) -> float:
        before = median(getattr(sample, name) for sample in middle)
        return round(median(getattr(sample, name) for sample in last) / before, 4) if before else 0

    return {f"{name}_flat": ratio(name) for name in ("relay_mb", "caller_mb", "callee_mb", "mb_s")}
