"""Order in which attention visits the blocks of the KV cache."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..spec.config import KV_BLOCK, UNIT_BYTES
from ..spec.limits import CACHE_BITS, HEAD_BITS, LENGTH_BITS, UNIT_ADDRESS_BITS
from ..spec.payloads import ReadRequest


__all__ = ["Phase", "SequenceCommand", "BlockSequence"]


# The keys, or values, of one block: `count` positions of it. `first` and `last` block of a head.
Phase = data.StructLayout({"value": 1, "count": 6, "first": 1, "last": 1})

SequenceCommand = data.StructLayout(
    {"heads": HEAD_BITS, "addr": UNIT_ADDRESS_BITS, "stride": CACHE_BITS, "length": LENGTH_BITS}
)


class BlockSequence(wiring.Component):
    """Request the keys and values of all blocks of all heads, and announce what will come.

    The blocks of all heads, one after the other, are visited with the values one block behind the
    keys: K0 K1 V0 K2 V1 ... Kn V(n-1) Vn. While the keys of a block stream in there is time to turn
    the scores of the block before it into weights, to rescale the accumulators, and to write the
    results of the head before: nothing of it costs a beat.

    The request of keys begins with the block's unit of exponents. Only valid positions are
    requested. How far requests run ahead of their data is up to those who take both streams.

    Latency is two cycles from `command`; throughput is one phase per cycle.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
        Its `head_dim` is used.

    Members
    -------
    command : :py:`In(stream.Signature(SequenceCommand))`
        Heads to visit: `length` positions (at least one) of each.
    req : :py:`Out(stream.Signature(ReadRequest))`
        Requests, one per phase.
    phase : :py:`Out(stream.Signature(Phase))`
        Phases, in the order of the requests.
    """

    def __init__(self, config):
        self.config = config
        super().__init__(
            {
                "command": In(stream.Signature(SequenceCommand)),
                "req": Out(stream.Signature(ReadRequest)),
                "phase": Out(stream.Signature(Phase)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        line_units = self.config.head_dim // UNIT_BYTES
        block_units = self.config.kv_block_units

        # The block whose keys are next.
        heads = Signal(HEAD_BITS, reset_less=True)
        base = Signal(UNIT_ADDRESS_BITS, reset_less=True)
        addr = Signal(UNIT_ADDRESS_BITS, reset_less=True)
        stride = Signal(CACHE_BITS, reset_less=True)
        length = Signal(LENGTH_BITS, reset_less=True)
        left = Signal(LENGTH_BITS, reset_less=True)
        first = Signal(reset_less=True)
        last = Signal()
        final = Signal()
        count = Signal(6)
        m.d.comb += [
            last.eq(left <= KV_BLOCK),
            final.eq(last & (heads == 1)),
            count.eq(Mux(last, left, KV_BLOCK)),
        ]

        # The block whose values are next.
        behind = Signal(
            data.StructLayout(
                {"addr": UNIT_ADDRESS_BITS, "count": 6, "first": 1, "last": 1, "final": 1}
            ),
            reset_less=True,
        )

        free, advance = Signal(), Signal()
        m.d.comb += free.eq(
            (~self.req.valid | self.req.ready) & (~self.phase.valid | self.phase.ready)
        )
        with m.If(self.req.ready):
            m.d.sync += self.req.valid.eq(0)
        with m.If(self.phase.ready):
            m.d.sync += self.phase.valid.eq(0)

        with m.If(advance):
            m.d.sync += [
                behind.addr.eq(addr + 1 + KV_BLOCK * line_units),
                behind.count.eq(count),
                behind.first.eq(first),
                behind.last.eq(last),
                behind.final.eq(final),
                first.eq(last),
            ]
            with m.If(last):
                m.d.sync += [
                    heads.eq(heads - 1),
                    base.eq(base + stride),
                    addr.eq(base + stride),
                    left.eq(length),
                ]
            with m.Else():
                m.d.sync += [addr.eq(addr + block_units), left.eq(left - KV_BLOCK)]

        primed = Signal()
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.command.ready.eq(1)
                with m.If(self.command.valid):
                    m.d.sync += [
                        heads.eq(self.command.p.heads),
                        base.eq(self.command.p.addr),
                        addr.eq(self.command.p.addr),
                        stride.eq(self.command.p.stride),
                        length.eq(self.command.p.length),
                        left.eq(self.command.p.length),
                        first.eq(1),
                        primed.eq(0),
                    ]
                    m.next = "KEYS"

            with m.State("KEYS"):
                with m.If(free):
                    m.d.sync += self.emit(0, addr, count * line_units + 1, count, first, last)
                    m.d.sync += primed.eq(1)
                    m.d.comb += advance.eq(~primed)
                    with m.If(primed | final):
                        m.next = "VALUES"

            with m.State("VALUES"):
                with m.If(free):
                    m.d.sync += self.emit(
                        1,
                        behind.addr,
                        behind.count * line_units,
                        behind.count,
                        behind.first,
                        behind.last,
                    )
                    with m.If(behind.final):
                        m.next = "IDLE"
                    with m.Else():
                        m.d.comb += advance.eq(1)
                        with m.If(~final):
                            m.next = "KEYS"

        return m

    def emit(self, value, addr, size, count, first, last):
        """Assignments that request a phase, and announce it."""
        return [
            self.req.valid.eq(1),
            self.req.p.addr.eq(addr),
            self.req.p.size.eq(size),
            self.phase.valid.eq(1),
            self.phase.p.value.eq(value),
            self.phase.p.count.eq(count),
            self.phase.p.first.eq(first),
            self.phase.p.last.eq(last),
        ]
