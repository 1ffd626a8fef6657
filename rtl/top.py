"""Top level of the accelerator."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import Out

from .attention.unit import AttentionUnit
from .bus.axi import AXI4, AXI4Lite, flat, gather
from .control.control import UNITS_BITS, Control
from .control.events import events as counted
from .control.fetch import Fetch
from .control.queue import UnitQueue
from .control.sequencer import Sequencer
from .control.store import InstructionStore
from .control.tokens import TokenCounters
from .linear.unit import LinearUnit
from .memory.load import LoadUnit
from .memory.reader import ADDR_WIDTH, ID_WIDTH, MemoryReader
from .memory.stream import StreamUnit
from .memory.writer import MemoryWriter
from .spec.config import Config
from .spec.csr import COUNTERS, EVENT_COUNTERS, REGISTER_ADDRESS_BITS, FaultCode
from .spec.isa import Unit
from .spec.limits import STREAMS_AHEAD
from .spec.payloads import queue_bits
from .vector.memory import VectorMemory
from .vector.unit import VectorUnit


__all__ = ["Accelerator"]


# The vector unit's instructions are many and short: a long queue lets the sequencer run ahead.
QUEUE_DEPTHS = {
    Unit.LOAD: 8,
    Unit.STREAM: STREAMS_AHEAD,
    Unit.LINEAR: 8,
    Unit.VECTOR: 64,
    Unit.ATTENTION: 8,
}
WEIGHTS, KV, LOAD, FETCH = CLIENTS = range(4)
KV_BEATS, LOAD_BEATS, FETCH_BEATS = 128, 64, 64


def reader_depths(config):
    """Beats that the buffer of each of the memory reader's clients holds."""
    depths = {
        WEIGHTS: config.prefetch_beats,
        KV: KV_BEATS,
        LOAD: LOAD_BEATS,
        FETCH: FETCH_BEATS,
    }
    return [depths[client] for client in CLIENTS]


class Accelerator(wiring.Component):
    """Headrace: decodes a language model from weights in DRAM.

    The host writes a program image to DRAM and its address to a register, starts, and reads the
    best logits. :mod:`rtl.spec.isa` says what programs do, :mod:`rtl.spec.csr` what the registers
    are.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
        Configuration.

    Members
    -------
    s_axi_awaddr, … : :py:`In(AXI4Lite(REGISTER_ADDRESS_BITS))`, flat
        Registers.
    m_axi_awaddr, … : :py:`Out(AXI4(40, config.beat_bits, 4))`, flat
        DRAM.
    activity : :py:`Out(UNITS_BITS)`
        Busy flag per unit, indexed by :class:`~rtl.spec.isa.Unit`; bit 0 is the sequencer's.
    """

    def __init__(self, config):
        if not isinstance(config, Config):
            raise TypeError(f"Configuration must be a Config, not {config!r}")
        self.config = config
        self.host = AXI4Lite(REGISTER_ADDRESS_BITS)
        self.dram = AXI4(ADDR_WIDTH, config.beat_bits, ID_WIDTH)
        super().__init__(
            {
                **flat("s_axi", self.host.flip()),
                **flat("m_axi", self.dram),
                "activity": Out(UNITS_BITS),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config

        control = Control(config, faults=4)
        fetch = Fetch(config)
        sequencer = Sequencer(config)
        tokens = TokenCounters(len(Unit))
        bits = {unit: queue_bits(unit) for unit in Unit}
        store = InstructionStore([QUEUE_DEPTHS[unit] for unit in Unit], max(bits.values()))
        queues = {unit: UnitQueue(bits[unit]) for unit in Unit}
        reader = MemoryReader(config, reader_depths(config))
        writer = MemoryWriter(config)
        memory = VectorMemory(config, writers=4)
        linear = LinearUnit(config)
        units = {
            Unit.LOAD: LoadUnit(config),
            Unit.STREAM: StreamUnit(),
            Unit.LINEAR: linear,
            Unit.VECTOR: VectorUnit(config),
            Unit.ATTENTION: AttentionUnit(config),
        }

        # The host's reset applies to everything but the registers and their bus, so that is a clock
        # domain of its own. Its reset fans out to most flip-flops, and comes from a register.
        core = Module()
        m.submodules.control = control
        m.submodules.core = DomainRenamer("core")(core)
        m.domains.core = domain = ClockDomain("core", local=True)
        m.d.comb += [domain.clk.eq(ClockSignal()), domain.rst.eq(control.reset)]
        core.submodules.fetch = fetch
        core.submodules.sequencer = ResetInserter(control.clear)(sequencer)
        core.submodules.tokens = ResetInserter(control.clear)(tokens)
        core.submodules.store = store
        core.submodules.reader = reader
        core.submodules.writer = writer
        core.submodules.memory = memory
        for unit in Unit:
            core.submodules[f"{unit.name.lower()}_queue"] = queues[unit]
            core.submodules[unit.name.lower()] = units[unit]

        wiring.connect(m, gather(self, "s_axi", self.host.flip()), control.axi)
        self.connect_dram(m, reader, writer)

        for n, unit in enumerate(Unit):
            wiring.connect(core, sequencer.queues[n], store.i[n])
            wiring.connect(core, store.o[n], queues[unit].i)
            wiring.connect(core, queues[unit].tokens, tokens.queues[n])
            core.d.comb += queues[unit].stop.eq(control.stop)
        self.connect_queues(core, queues, units)
        self.connect_units(core, units, fetch, reader, writer, memory)

        core.d.comb += [
            fetch.start.eq(control.fetch_start),
            fetch.program.eq(control.program),
            fetch.length.eq(control.length),
            fetch.index.eq(sequencer.index),
            sequencer.word.eq(fetch.word),
            sequencer.start.eq(control.run_start),
            sequencer.stop.eq(control.stop),
            sequencer.length.eq(control.length),
            sequencer.token.eq(control.token),
            reader.limit.eq(control.memory_limit),
            reader.halt.eq(control.stop),
            writer.limit.eq(control.memory_limit),
            writer.first.eq(control.write_first),
            writer.end.eq(control.write_end),
            writer.halt.eq(control.stop),
            linear.best_index.eq(control.best_index),
        ]
        core.d.comb += [i.eq(o) for i, o in zip(sequencer.sources, control.sources)]

        busy = Signal(UNITS_BITS)
        was_busy = Signal(UNITS_BITS)
        busy_units = Cat(units[unit].busy for unit in Unit)
        m.d.comb += [
            busy.eq(Cat(sequencer.busy, busy_units)),
            sequencer.idle.eq(
                Cat(*store.empty, *(queue.empty for queue in queues.values())).all()
                & ~busy_units.any()
                & writer.written
            ),
            self.activity.eq(was_busy),
        ]
        m.d.sync += was_busy.eq(busy)
        assert [unit.value for unit in Unit] == list(range(1, UNITS_BITS))

        m.d.comb += [
            control.fetch_busy.eq(fetch.busy),
            control.run_busy.eq(sequencer.busy),
            control.token_index.eq(sequencer.token_index),
            control.memory_idle.eq(reader.idle & writer.idle),
            control.units.eq(was_busy),
            control.pc.eq(sequencer.pc),
            control.best_entry.eq(linear.best),
        ]
        self.count(m, control, linear, counted(units, queues, sequencer, reader, writer))
        m.d.sync += control.progress.eq(
            reader.beat
            | writer.beat
            | (was_busy & ~busy).any()
            | Cat(queue.passed for queue in queues.values()).any()
        )
        self.report_faults(m, control, sequencer, reader, writer, linear, queues)

        return m

    def count(self, m, control, linear, counted):
        """Show control the events that it counts. Registered: they arrive late, and each feeds a
        32-bit counter.
        """
        events = {
            "weight_beat": linear.beats.valid & linear.beats.ready,
            "starved": linear.starved,
        }
        assert set(events) == set(EVENT_COUNTERS.values())
        m.d.sync += [getattr(control, name).eq(event) for name, event in events.items()]
        assert set(counted) == set(COUNTERS)
        assert all(len(event) == 1 for event in counted.values())
        if self.config.counters:
            m.d.sync += control.events.eq(Cat(counted[name] for name in COUNTERS))

    def connect_dram(self, m, reader, writer):
        """Reads and writes share nothing but the port."""
        dram = gather(self, "m_axi", self.dram)
        for unit in (reader, writer):
            for name, member in unit.axi.signature.members.items():
                ours, theirs = getattr(unit.axi, name), getattr(dram, name)
                m.d.comb += theirs.eq(ours) if member.flow == Out else ours.eq(theirs)

    def connect_queues(self, core, queues, units):
        """Give units their instructions."""
        for unit, queue in queues.items():
            wiring.connect(core, queue.o, units[unit].insn)
            core.d.comb += queue.busy.eq(units[unit].busy)

    def connect_units(self, core, units, fetch, reader, writer, memory):
        """Connect units with DRAM, with the vector memory and with each other."""
        load, stream, linear, vector, attention = (
            units[unit]
            for unit in (Unit.LOAD, Unit.STREAM, Unit.LINEAR, Unit.VECTOR, Unit.ATTENTION)
        )
        wiring.connect(core, stream.req, reader.req[WEIGHTS])
        wiring.connect(core, attention.req, reader.req[KV])
        wiring.connect(core, load.req, reader.req[LOAD])
        wiring.connect(core, fetch.req, reader.req[FETCH])
        wiring.connect(core, reader.data[WEIGHTS], linear.beats)
        wiring.connect(core, reader.data[KV], attention.data)
        wiring.connect(core, reader.data[LOAD], load.data)
        wiring.connect(core, reader.data[FETCH], fetch.data)
        wiring.connect(core, attention.line, writer.line)
        core.d.comb += attention.written.eq(writer.written)

        for name in "abc":
            wiring.connect(core, getattr(vector, name), getattr(memory, name))
        for unit, port in zip((vector, linear, attention, load), memory.writers):
            wiring.connect(core, unit.write, port)
        core.d.comb += vector.waiting.eq(memory.waiting)
        wiring.connect(core, vector.act, linear.write_act)
        wiring.connect(core, vector.query, attention.query)
        wiring.connect(core, vector.kv, attention.kv)

    def report_faults(self, m, control, sequencer, reader, writer, linear, queues):
        """Name the instruction: a unit's requests are those of the one that it took last."""
        of_sequencer, of_reader, of_writer, of_linear = control.faults
        with m.If(sequencer.fault):
            m.d.comb += [
                of_sequencer.code.eq(sequencer.fault_code),
                of_sequencer.pc.eq(sequencer.fault_pc),
                of_sequencer.info.eq(sequencer.fault_info),
            ]
        with m.If(reader.fault):
            m.d.comb += [of_reader.code.eq(reader.fault_code), of_reader.info.eq(reader.fault_info)]
        with m.Switch(reader.fault_client):
            for client, unit in {WEIGHTS: Unit.STREAM, KV: Unit.ATTENTION, LOAD: Unit.LOAD}.items():
                with m.Case(client):
                    m.d.comb += of_reader.pc.eq(queues[unit].pc)
        with m.If(writer.fault):
            m.d.comb += [of_writer.code.eq(writer.fault_code), of_writer.info.eq(writer.fault_info)]
        m.d.comb += of_writer.pc.eq(queues[Unit.ATTENTION].pc)
        with m.If(linear.fault):
            m.d.comb += [
                of_linear.code.eq(FaultCode.DESCRIPTOR),
                of_linear.pc.eq(queues[Unit.LINEAR].pc),
                of_linear.info.eq(linear.fault_info),
            ]
