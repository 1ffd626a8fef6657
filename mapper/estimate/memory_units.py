"""LOAD and STREAM, which ask for reads."""

from rtl.spec.config import UNIT_BYTES, Config
from rtl.spec.isa import Insn, Load, Stream

from .events import Clock, Process
from .hardware import Hardware
from .reader import Client
from .write_port import WritePort


__all__ = ["LoadTime", "StreamTime"]


class LoadTime:
    """The load unit: a beat or a line a cycle, whichever takes longer."""

    def __init__(
        self, clock: Clock, config: Config, hardware: Hardware, client: Client, port: WritePort
    ):
        self.clock, self.config, self.hardware = clock, config, hardware
        self.client, self.port = client, port
        self.idle_at = 0.0

    def execute(self, insn: Insn) -> Process:
        """Take an instruction, and wait until all its words are written."""
        assert isinstance(insn, Load)
        config = self.config
        yield 1
        self.client.request(insn.addr, insn.size)
        lines = UNIT_BYTES // 4 // config.lanes * insn.size
        beats = insn.size * config.unit_beats
        while beats:
            count, used = min(beats, self.client.depth), self.port.used
            yield from self.client.take(count, max(1.0, lines / (insn.size * config.unit_beats)))
            # What the vector unit wrote meanwhile, this unit did not.
            yield from self.port.write(self.port.used - used)
            beats -= count
        yield self.hardware.load
        self.idle_at = self.clock.now


class StreamTime:
    """The stream unit: passes requests on, of as many units as are taken of them."""

    def __init__(self, clock: Clock, client: Client, sizes):
        self.clock, self.client, self.sizes = clock, client, sizes
        self.idle_at = 0.0

    def execute(self, insn: Insn) -> Process:
        """Take an instruction, and wait until the reader has the request."""
        assert isinstance(insn, Stream)
        yield 1
        self.client.request(insn.addr, self.sizes.popleft())
        yield 2
        self.idle_at = self.clock.now
