"""A step of the accelerator: its parts side by side, event by event."""

from collections import deque

from host.image.image import Image
from rtl.spec.config import Config
from rtl.spec.dram import Dram
from rtl.spec.isa import INSTRUCTION_BYTES, MatMul, Unit
from rtl.spec.numbers import UNIT_BYTES
from sw_ref.accesses import unit_of

from .attention import AttentionTime
from .dram import Memory
from .events import Clock, Process, Signal
from .hardware import Hardware
from .linear import LinearTime
from .memory_units import LoadTime, StreamTime
from .program import Dispatched
from .queues import Queue, Tokens
from .reader import Reader
from .vector import VectorTime
from .write_port import WritePort


__all__ = ["Step"]


WEIGHTS, KV, LOAD, FETCH = range(4)  # clients of the reader


class Step:
    """Runs what a program dispatches, without values.

    Attributes
    ----------
    cycles : :class:`float`
        Of the step, once it ran.
    spans : list of (:class:`int`, :class:`int`, :class:`float`, :class:`float`)
        Unit, program counter, first cycle and end of each instruction.
    """

    def __init__(self, image: Image, config: Config, hardware: Hardware):
        self.image, self.config, self.hardware = image, config, hardware
        self.clock = Clock()
        assert isinstance(config.dram, Dram)
        self.memory = Memory(config.dram, config.beat_bytes, config.clock_mhz)
        self.reader = Reader(self.clock, config, self.memory, hardware)
        self.spans: list[tuple[int, int, float, float]] = []
        self.cycles = self._ended = 0.0
        self._fetched, self._came = 0, Signal()  # instructions
        self._works: deque = deque()
        self._sizes: deque[int] = deque()
        self.queues = self._queues()

    def _queues(self) -> dict[int, Queue]:
        clock, config, hardware = self.clock, self.config, self.hardware
        clients = self.reader.clients
        clients[KV].ring = hardware.ring
        port = WritePort(clock, hardware.share)
        vector = VectorTime(clock, config, hardware, port)
        units = {
            Unit.LOAD: LoadTime(clock, config, hardware, clients[LOAD], port),
            Unit.STREAM: StreamTime(clock, clients[WEIGHTS], self._sizes),
            Unit.LINEAR: LinearTime(
                clock,
                config,
                hardware,
                clients[WEIGHTS],
                port,
                lambda insn: self._works.popleft(),
            ),
            Unit.VECTOR: vector,
            Unit.ATTENTION: AttentionTime(
                clock, config, hardware, clients[KV], self.memory, vector.queries, vector.keys
            ),
        }
        tokens = Tokens(clock, hardware)

        def note(unit):
            return lambda pc, start, end: self.spans.append((unit, pc, start, end))

        return {
            u.value: Queue(
                clock,
                hardware,
                tokens,
                unit,
                hardware.queue_depths[u.value],
                u == Unit.LINEAR,
                note(u.value),
            )
            for u, unit in units.items()
        }

    @property
    def beats(self) -> dict[str, int]:
        """Beats that were read: of the weights, and of the KV cache."""
        clients = self.reader.clients
        return {"weights": clients[WEIGHTS].beats, "kv": clients[KV].beats}

    def run(self, program: list[Dispatched]) -> None:
        """Run a program to its end."""
        taken: dict[int, int] = {}
        for its in program:
            if its.work is not None:
                self._works.append(its.work)
                units = its.work.units + isinstance(its.insn, MatMul)  # its descriptor
                taken[its.stream] = taken.get(its.stream, 0) + units
        self._sizes.extend(taken[n] for n in sorted(taken))
        self.clock.start(self._sequence(program))
        self.clock.run()
        idle = max(queue.unit.idle_at for queue in self.queues.values())
        self.cycles = max(self._ended, idle) + self.hardware.halt
        waiting = [unit for unit, queue in self.queues.items() if queue.executing]
        if waiting:
            raise RuntimeError(f"Units {waiting} wait for ever")

    def _sequence(self, program: list[Dispatched]) -> Process:
        self.clock.start(self._fetch())
        yield from self._wait_for(0)
        yield self.hardware.start
        for its in program:
            yield from self._wait_for(its.pc)
            yield its.cycles
            yield from self.queues[unit_of(its.insn)].push(its.pc, its.insn)
        self._ended = self.clock.now

    def _wait_for(self, pc: int) -> Process:
        """Wait until an instruction is fetched."""
        while self._fetched <= pc:
            yield self._came

    def _fetch(self) -> Process:
        """Fetch the program, unit by unit."""
        client = self.reader.clients[FETCH]
        units = -(-self.image.length * INSTRUCTION_BYTES // UNIT_BYTES)
        client.request(self.image.program, units)
        words = max(1.0, self.config.beat_bytes / INSTRUCTION_BYTES)
        for _ in range(units):
            yield from client.take(self.config.unit_beats, words)
            self._fetched += UNIT_BYTES // INSTRUCTION_BYTES
            self.clock.fire(self._came)
