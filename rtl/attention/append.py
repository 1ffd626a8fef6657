"""Appends keys and values to the KV cache."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..spec.config import KV_BLOCK, UNIT_BYTES
from ..spec.limits import CACHE_BITS, HEAD_BITS, UNIT_ADDRESS_BITS
from ..spec.payloads import Quantized, WriteLine


__all__ = ["AppendCommand", "KvAppend"]


AppendCommand = data.StructLayout(
    {"value": 1, "heads": HEAD_BITS, "addr": UNIT_ADDRESS_BITS, "stride": CACHE_BITS, "position": 5}
)


class KvAppend(wiring.Component):
    """Write one position of every head to the KV cache, as :class:`~rtl.spec.isa.Append` defines.

    A head takes head_dim / lanes cycles to collect, then one line per unit of elements, and then as
    many cycles again, in which the writer is at work, and one line for the exponent.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
        Its `head_dim` and `lanes` are used.

    Members
    -------
    command : :py:`In(stream.Signature(AppendCommand))`
        Position (in its block) to write in `heads` heads, at least one, the first in the block at
        unit `addr`.
    busy : :py:`Out(1)`
        From the cycle after a command is taken until memory has all of it.
    i : :py:`In(stream.Signature(Quantized(config)))`
        Groups of `head_dim` 8-bit values.
    line : :py:`Out(stream.Signature(WriteLine))`
        Lines to write.
    written : :py:`In(1)`
        Memory has acknowledged all lines. Low from the cycle after a line is taken until then.
    """

    def __init__(self, config):
        self.config = config
        super().__init__(
            {
                "command": In(stream.Signature(AppendCommand)),
                "busy": Out(1),
                "i": In(stream.Signature(Quantized(config))),
                "line": Out(stream.Signature(WriteLine)),
                "written": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        line_units = self.config.head_dim // UNIT_BYTES

        command = Signal(AppendCommand, reset_less=True)
        addr = Signal.like(self.line.p.addr, reset_less=True)  # of the head at hand
        elements = Signal(8 * self.config.head_dim, reset_less=True)
        exponent = Signal(8, reset_less=True)
        unit = Signal(range(line_units))
        lanes = self.config.lanes
        filled = Signal(range(self.config.head_dim // lanes))

        line = self.line.p
        at = Signal(
            range(2 * KV_BLOCK * line_units)
        )  # of the elements, from the block's second unit
        m.d.comb += [
            at.eq(Cat(command.position, command.value) * line_units + unit),
            line.data.eq(elements),
        ]

        with m.FSM() as fsm:
            m.d.comb += self.busy.eq(~fsm.ongoing("IDLE"))

            with m.State("IDLE"):
                m.d.comb += self.command.ready.eq(1)
                m.d.sync += [command.eq(self.command.p), addr.eq(self.command.p.addr)]
                with m.If(self.command.valid):
                    m.next = "COLLECT"

            with m.State("COLLECT"):
                m.d.comb += self.i.ready.eq(1)
                with m.If(self.i.valid):
                    run = Cat(value[:8] for value in self.i.p.values)
                    m.d.sync += [
                        elements.eq(Cat(elements, run)[len(run) :]),
                        exponent.eq(self.i.p.exponent),
                    ]
                    with m.If(self.i.p.last):
                        m.next = "ELEMENTS"

            with m.State("ELEMENTS"):
                m.d.comb += [
                    self.line.valid.eq(1),
                    line.addr.eq(addr + 1 + at),
                    line.strobe.eq(~0),
                ]
                with m.If(self.line.ready):
                    if line_units > 1:
                        m.d.sync += [elements.eq(elements >> 8 * UNIT_BYTES), unit.eq(unit + 1)]
                    with m.If(unit == line_units - 1):
                        m.next = "FILL"

            # The unit of exponents is filled with this one, as elements come: no multiplexer.
            with m.State("FILL"):
                m.d.sync += [
                    elements.eq(Cat(elements, exponent.replicate(lanes))[8 * lanes :]),
                    filled.eq(filled + 1),
                ]
                with m.If(filled.all()):
                    m.next = "EXPONENT"

            with m.State("EXPONENT"):
                m.d.comb += [
                    self.line.valid.eq(1),
                    line.addr.eq(addr),
                    line.strobe.eq(1 << Cat(command.position, command.value)),
                ]
                with m.If(self.line.ready):
                    m.d.sync += [
                        command.heads.eq(command.heads - 1),
                        addr.eq(addr + command.stride),
                    ]
                    with m.If(command.heads == 1):
                        m.next = "WRITTEN"
                    with m.Else():
                        m.next = "COLLECT"

            with m.State("WRITTEN"):
                with m.If(self.written):
                    m.next = "IDLE"

        return m
