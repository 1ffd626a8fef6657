"""The memory reader: bursts of several clients, and the beats that come of them."""

from collections import deque
from dataclasses import dataclass

from rtl.spec.config import UNIT_BYTES, Config
from rtl.spec.limits import MAX_BURST_BEATS

from .dram import Memory
from .events import Clock, Process, Signal
from .hardware import Hardware


__all__ = ["Beats", "Client", "Reader"]


@dataclass(slots=True)
class Beats:
    """Beats of a burst: how many are left, and when the first and the last of them are there."""

    count: int
    first: float
    last: float


class Client:
    """A client of the reader, with a buffer of some beats.

    Attributes
    ----------
    came : deque of :class:`Beats`
        What was asked for and not taken.
    room : :class:`int`
        Beats that the buffer has room for beyond what is on the way.
    beats : :class:`int`
        Taken so far.
    """

    def __init__(self, reader: "Reader", depth: int):
        self.reader, self.depth, self.room = reader, depth, depth
        self.burst_units = min(MAX_BURST_BEATS, depth // 4) // reader.unit_beats
        self.bursts: deque[list] = deque()  # address and units left of requests, and when they are
        self.came: deque[Beats] = deque()
        self.beats = 0
        self.arrived = Signal()

    def request(self, address: int, units: int) -> None:
        """Ask for units from one on."""
        if units:
            clock = self.reader.clock
            self.bursts.append([address, units, clock.now + self.reader.hardware.request])
            clock.fire(self.reader.changed)

    def next_burst(self) -> tuple[int, int, float] | None:
        """Address, units, and the cycle from which on it may be asked for, of the next burst."""
        if not self.bursts:
            return None
        address, left, when = self.bursts[0]
        return address, min(left, self.burst_units - address % self.burst_units), when

    def split(self, units: int, when: float) -> None:
        """Take a burst off the request; the next may be asked for from `when` on."""
        front = self.bursts[0]
        front[0], front[1], front[2] = front[0] + units, front[1] - units, when
        if not front[1]:
            self.bursts.popleft()
            if self.bursts:
                self.bursts[0][2] = max(self.bursts[0][2], when)

    def take(self, count: int, per_beat: float = 1.0, at_least: float = 0.0) -> Process:
        """Take so many beats, each in `per_beat` cycles at least and no two in one cycle, and none
        before the cycle `at_least`.
        """
        clock, done = self.reader.clock, max(self.reader.clock.now, at_least)
        while count:
            while not self.came:
                yield self.arrived
            its = self.came[0]
            taken = min(count, its.count)
            pace = (its.last - its.first) / (its.count - 1) if its.count > 1 else 0.0
            begun, last = max(done, its.first), its.first + pace * (taken - 1)
            done = max(begun + taken * per_beat, last + 1)
            its.count -= taken
            its.first = last + pace
            count -= taken
            if not its.count:
                self.came.popleft()
            yield clock.until(done)
            self.give_back(taken)

    def give_back(self, count: int) -> None:
        """Beats left the buffer."""
        self.room += count
        self.beats += count
        if self.bursts:
            self.reader.clock.fire(self.reader.changed)


class Reader:
    """Asks for bursts, one at a time: of the clients that can, for the one with the highest number.

    A burst is asked for when its client's buffer has room for all of it.
    """

    def __init__(self, clock: Clock, config: Config, memory: Memory, hardware: Hardware):
        self.clock, self.memory, self.hardware = clock, memory, hardware
        self.unit_beats = config.unit_beats
        self.clients = [Client(self, depth) for depth in hardware.depths]
        self.changed = Signal()
        clock.start(self._run())

    def _run(self) -> Process:
        clock, hardware = self.clock, self.hardware
        while True:
            soonest = None
            for client in reversed(self.clients):
                burst = client.next_burst()
                if burst is None:
                    continue
                address, units, when = burst
                beats = units * self.unit_beats
                if client.room < beats:
                    continue
                if when > clock.now:
                    soonest = when if soonest is None else min(when, soonest)
                    continue
                self._ask(client, address, units, beats)
                soonest = clock.now + 1
                break
            if soonest is None:
                yield self.changed
                yield hardware.grant
            else:
                yield soonest - clock.now

    def _ask(self, client, address, units, beats):
        clock, hardware = self.clock, self.hardware
        client.room -= beats
        client.split(units, clock.now + hardware.split)
        first, last = self.memory.read(clock.now + 1, address * UNIT_BYTES, beats)
        client.came.append(Beats(beats, first + hardware.deliver, last + hardware.deliver))
        clock.fire(client.arrived)
