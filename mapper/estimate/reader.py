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
    ring : :class:`int`
        Beats that the client keeps behind the buffer, until it takes them.
    beats : :class:`int`
        Taken so far.
    latest : :class:`float`
        When the last beat that was taken had come.
    """

    def __init__(self, reader: "Reader", depth: int):
        self.reader, self.depth, self.room = reader, depth, depth
        self.burst_units = max(1, min(MAX_BURST_BEATS, depth // 4) // reader.unit_beats)
        self.requests: deque[list[int]] = deque()  # address and units left
        self.active = False  # the first of them was accepted
        self.came: deque[Beats] = deque()
        self.beats, self.latest = 0, 0.0
        self.ring = self.kept = self.buffered = 0  # beats in the ring, and before it
        self.arrived = Signal()

    def request(self, address: int, units: int) -> None:
        """Ask for units from one on."""
        if units:
            self.requests.append([address, units])
            self.reader.clock.fire(self.reader.changed)

    @property
    def can_ask(self) -> bool:
        """A request is new, or has more bursts and there is room for the longest."""
        has_room = self.room >= self.burst_units * self.reader.unit_beats
        return bool(self.requests) and (not self.active or has_room)

    def split(self) -> tuple[int, int] | None:
        """Take the next burst, its address and its units, off the request; None without room."""
        if self.room < self.burst_units * self.reader.unit_beats:
            return None
        front = self.requests[0]
        address, left = front
        units = min(left, self.burst_units - address % self.burst_units)
        front[:] = address + units, left - units
        if not front[1]:
            self.requests.popleft()
            self.active = False
        return address, units

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
            its.first, self.latest = last + pace, last
            count -= taken
            if not its.count:
                self.came.popleft()
            yield clock.until(done)
            self.give_back(taken)

    def give_back(self, count: int) -> None:
        """Beats left the buffer, which counts them a little later."""
        self.beats += count
        if self.ring:
            self.kept -= count
            self._keep()
        else:
            self.reader.clock.start(self._count(count))

    def arrive(self, count: int, at: float) -> Process:
        """Beats come, and leave the buffer for the ring as far as that has places."""
        yield self.reader.clock.until(at)
        self.buffered += count
        self._keep()

    def _keep(self) -> None:
        count = min(self.buffered, self.ring - self.kept)
        if count > 0:
            self.buffered, self.kept = self.buffered - count, self.kept + count
            self.reader.clock.start(self._count(count))

    def _count(self, count: int) -> Process:
        yield self.reader.hardware.counted
        self.room += count
        if self.requests:
            self.reader.clock.fire(self.reader.changed)


class Reader:
    """Asks for bursts, one after the other: of the clients that can, for the one with the highest
    number.

    A burst is asked for when its client's buffer has room for the longest.
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
            client = next((its for its in reversed(self.clients) if its.can_ask), None)
            if client is None:
                yield self.changed
                continue
            yield hardware.burst if client.active else hardware.request
            client.active = True
            burst = client.split()
            if burst is not None:
                address, units = burst
                beats = units * self.unit_beats
                client.room -= beats
                first, last = self.memory.read(clock.now + 1, address * UNIT_BYTES, beats)
                client.came.append(Beats(beats, first + hardware.deliver, last + hardware.deliver))
                clock.fire(client.arrived)
                if client.ring:
                    clock.start(client.arrive(beats, last + hardware.deliver))
            yield 1
