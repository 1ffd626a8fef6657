"""Control: starts, stops and counts, as the host's registers say."""

from amaranth import *
from amaranth.lib import data, enum, wiring
from amaranth.lib.wiring import In, Out

from ..bus.axi import AXI4Lite
from ..spec.csr import BEST, EVENT_COUNTERS, IDENTITY, REGISTER_ADDRESS_BITS, TOKENS, FaultCode
from ..spec.isa import Source, Unit
from ..spec.limits import PC_BITS
from ..spec.payloads import Logit
from .counters import EVENTS, Counters
from .csr import RegisterFile


__all__ = ["UNITS_BITS", "FaultReport", "Control"]


UNITS_BITS = 1 + max(u.value for u in Unit)  # a bit per unit, in the place of its number

# `code` is 0 as long as there is no fault.
FaultReport = data.StructLayout({"code": 8, "pc": PC_BITS, "info": 32})


class State(enum.Enum, shape=3):
    """State of the machine."""

    IDLE = 0  # nothing, or done
    START = 1
    FETCH = 2
    BEGIN = 3  # the sequencer is not busy yet
    RUN = 4
    FAULT = 5
    DRAIN = 6  # stopped, until memory has answered
    RESET = 7


class Control(wiring.Component):
    """Run a program until it ends or faults, and report the result.

    A start begins to fetch the program, clears the sequencer and the token counters, and runs as
    soon as there is an instruction. It is ignored while busy, and after a fault until a reset. The
    first fault is kept and stops the machine: no unit gets another instruction, and memory no
    request; the units stay as they are.

    A reset, at any time, stops the machine, waits until memory has answered all outstanding
    requests, and resets all units, so that no late beat reaches a unit that did not request it.
    STATUS is busy meanwhile; if memory never answers, memory must be reset as well. Writing both
    bits resets, then starts.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
        Configuration.
    faults : :class:`int`
        Places that faults come from.

    Members
    -------
    axi : :py:`In(AXI4Lite(REGISTER_ADDRESS_BITS))`
        Host.
    memory_limit, write_first, write_end, program, length : :py:`Out(32)`
        Registers MEMORY, WRITE_FIRST, WRITE_END, PROGRAM and LENGTH.
    fetch_start : :py:`Out(1)`
        Start the fetcher.
    fetch_busy : :py:`In(1)`
        It has no instruction to run yet.
    run_start : :py:`Out(1)`
        Start the sequencer.
    run_busy : :py:`In(1)`
        It is not done.
    sources : :py:`Out(32).array(len(Source))`
        Values of each :class:`~rtl.spec.isa.Source`, in its order.
    token_index, token : :py:`In(range(TOKENS)), Out(32)`
        Token of the `token_index` of the cycle before.
    stop : :py:`Out(1)`
        Start nothing more.
    memory_idle : :py:`In(1)`
        Nothing is outstanding; looked at some cycles after `stop`.
    clear : :py:`Out(1)`
        Reset the sequencer and the token counters.
    reset : :py:`Out(1)`
        Reset everything but this: for the host, or because this is being reset. A register.
    faults : :py:`In(FaultReport).array(faults)`
        Faults; of simultaneous ones the first counts.
    units : :py:`In(UNITS_BITS)`
        Units that are busy, for the watchdog's report.
    pc : :py:`In(PC_BITS)`
        Index in the program of the instruction dispatched last.
    progress : :py:`In(1)`
        Something came to an end: the watchdog starts over.
    weight_beat, starved, ... : :py:`In(1)`
        Events of :data:`~rtl.spec.csr.EVENT_COUNTERS`.
    events : :py:`In(EVENTS)`
        Events of :data:`~rtl.spec.csr.COUNTERS`, where the configuration has them.
    best_index, best_entry : :py:`Out(range(BEST)), In(Logit)`
        Logit at the `best_index` of the cycle before.
    """

    def __init__(self, config, faults):
        self.config = config
        super().__init__(
            {
                "axi": In(AXI4Lite(REGISTER_ADDRESS_BITS)),
                "memory_limit": Out(32),
                "write_first": Out(32),
                "write_end": Out(32),
                "program": Out(32),
                "length": Out(32),
                "fetch_start": Out(1),
                "fetch_busy": In(1),
                "run_start": Out(1),
                "run_busy": In(1),
                "sources": Out(32).array(len(Source)),
                "token_index": In(range(TOKENS)),
                "token": Out(32),
                "stop": Out(1),
                "memory_idle": In(1),
                "clear": Out(1),
                "reset": Out(1, init=1),
                "faults": In(FaultReport).array(faults),
                "units": In(UNITS_BITS),
                "pc": In(PC_BITS),
                "progress": In(1),
                **{event: In(1) for event in EVENT_COUNTERS.values()},
                "events": In(EVENTS),
                "best_index": Out(range(BEST)),
                "best_entry": In(Logit),
            }
        )

    def elaborate(self, platform):
        m = Module()

        m.submodules.registers = registers = RegisterFile()
        wiring.connect(m, wiring.flipped(self.axi), registers.axi)
        fault = Signal(FaultReport)
        busy, done, running = Signal(), Signal(), Signal()
        cycles = Signal(64)
        m.d.comb += [
            registers.identity.eq(IDENTITY),
            registers.digest.eq(int(self.config.digest[:8], 16)),
            registers.formats.eq(sum(1 << fmt.value for fmt in self.config.weight_formats)),
            registers.status.eq(Cat(busy, done, fault.code != 0)),
            registers.fault_code.eq(fault.code),
            registers.fault_pc.eq(fault.pc),
            registers.fault_info.eq(fault.info),
            registers.cycles.eq(cycles),
            self.memory_limit.eq(registers.memory),
            self.write_first.eq(registers.write_first),
            self.write_end.eq(registers.write_end),
            self.program.eq(registers.program),
            self.length.eq(registers.length),
            registers.token_index.eq(self.token_index),
            self.token.eq(registers.token_word),
            self.best_index.eq(registers.best_index >> 1),
            registers.best_word.eq(
                Mux(registers.best_index[0], self.best_entry.id, self.best_entry.value)
            ),
        ]
        m.d.comb += [
            value.eq(getattr(registers, source.name.lower()))
            for source, value in zip(Source, self.sources)
        ]

        self.count(m, registers, running)

        start, reset = registers.control_write[0], registers.control_write[1]
        state = Signal(State)
        watch = Signal(32)
        settle = Signal(range(8))  # until `memory_idle` may be trusted
        restart = Signal()
        m.d.comb += running.eq(
            (state == State.FETCH) | (state == State.BEGIN) | (state == State.RUN)
        )

        with m.If(running):
            m.d.sync += [
                cycles.eq(cycles + 1),
                *(count.eq(count + event) for count, event in self.counters(registers)),
                watch.eq(Mux(self.progress, 0, watch + 1)),
            ]

        m.d.comb += busy.eq((state != State.IDLE) & (state != State.FAULT))
        m.d.sync += self.reset.eq(0)
        with m.Switch(state):
            with m.Case(State.IDLE):
                with m.If(start):
                    m.d.sync += state.eq(State.START)
            with m.Case(State.START):
                m.d.comb += self.clear.eq(1)
                m.d.sync += [
                    counter.eq(0)
                    for counter in (
                        done,
                        cycles,
                        watch,
                        *(count for count, _ in self.counters(registers)),
                    )
                ]
                with m.If(registers.length > self.config.program_words):
                    self.stop_with(m, state, fault, FaultCode.PROGRAM, 0, registers.length)
                with m.Else():
                    m.d.comb += self.fetch_start.eq(1)
                    m.d.sync += state.eq(State.FETCH)
            with m.Case(State.FETCH):
                with m.If(~self.fetch_busy):
                    m.d.comb += self.run_start.eq(1)
                    m.d.sync += state.eq(State.BEGIN)
            with m.Case(State.BEGIN):
                m.d.sync += state.eq(State.RUN)
            with m.Case(State.RUN):
                with m.If(~self.run_busy):
                    m.d.sync += [done.eq(1), state.eq(State.IDLE)]
            with m.Case(State.DRAIN):
                m.d.sync += settle.eq(Mux(settle == 0, 0, settle - 1))
                with m.If((settle == 0) & self.memory_idle):
                    # Registered: the fan-out is most of the flip-flops.
                    m.d.sync += [self.reset.eq(1), state.eq(State.RESET)]
            with m.Case(State.RESET):
                m.d.sync += [
                    fault.eq(0),
                    done.eq(0),
                    self.stop.eq(0),
                    state.eq(Mux(restart, State.START, State.IDLE)),
                ]

        with m.If(running):
            self.stop_on_fault(m, registers, state, fault, watch)
        with m.If(reset):
            m.d.sync += [
                state.eq(State.DRAIN),
                self.stop.eq(1),
                self.reset.eq(0),
                settle.eq(~0),
                restart.eq(start),
            ]

        return m

    def count(self, m, registers, running):
        """Count the events, where the configuration has counters of them."""
        if not self.config.counters:
            return
        m.submodules.counters = counters = Counters()
        m.d.comb += [
            registers.counters.eq(EVENTS),
            registers.counter_word.eq(counters.word),
            counters.index.eq(registers.counter_index),
            counters.events.eq(self.events),
            counters.clear.eq(self.clear),
            counters.enable.eq(running),
        ]

    def counters(self, registers):
        """Yield (count, event) of each of `EVENT_COUNTERS`."""
        for name, event in EVENT_COUNTERS.items():
            yield getattr(registers, name.lower()), getattr(self, event)

    def stop_with(self, m, state, fault, code, pc, info):
        """Report a fault."""
        m.d.sync += [
            fault.code.eq(code),
            fault.pc.eq(pc),
            fault.info.eq(info),
            state.eq(State.FAULT),
        ]

    def stop_on_fault(self, m, registers, state, fault, watch):
        """Stop on the first unit's fault that is reported, or when the watchdog bites."""
        with m.If((registers.watchdog != 0) & (watch == registers.watchdog)):
            self.stop_with(m, state, fault, FaultCode.WATCHDOG, self.pc, self.units)
            m.d.sync += self.stop.eq(1)
        for report in reversed(self.faults):
            with m.If(report.code != 0):
                m.d.sync += [fault.eq(report), state.eq(State.FAULT), self.stop.eq(1)]
