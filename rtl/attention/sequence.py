"""Order in which attention visits the blocks of the KV cache."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..spec.config import KV_BLOCK, UNIT_BYTES
from ..spec.limits import CACHE_BITS, HEAD_BITS, LENGTH_BITS, UNIT_ADDRESS_BITS
from ..spec.payloads import ReadRequest
from .window import WindowStart


__all__ = ["Phase", "SequenceCommand", "BlockSequence"]


# The keys, or values, of one block: `count` positions of it, of which the first `skip` are read and
# do not count. `first` and `last` block of a head.
Phase = data.StructLayout({"value": 1, "count": 6, "skip": 5, "first": 1, "last": 1})

SequenceCommand = data.StructLayout(
    {
        "heads": HEAD_BITS,
        "addr": UNIT_ADDRESS_BITS,
        "stride": CACHE_BITS,
        "length": LENGTH_BITS,
        "window": LENGTH_BITS,
        "newest": UNIT_ADDRESS_BITS,
    }
)


class BlockSequence(wiring.Component):
    """Request the keys and values of all blocks of all heads, and announce what will come.

    The blocks of all heads, one after the other, are visited with the values one block behind the
    keys: K0 K1 V0 K2 V1 ... Kn V(n-1) Vn. While the keys of a block stream in there is time to turn
    the scores of the block before it into weights, to rescale the accumulators, and to write the
    results of the head before: nothing of it costs a beat.

    The request of keys begins with the block's unit of exponents, so keys before a window come
    with it, and have to be skipped. Otherwise only valid positions are requested. How far requests
    run ahead of their data is up to those who take both streams.

    Latency is two cycles from `command`, with a window eight more; throughput is one phase per
    cycle.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
        Its `head_dim` is used.

    Members
    -------
    command : :py:`In(stream.Signature(SequenceCommand))`
        Heads to visit: `length` positions (at least one) of each, or the last `window` of them.
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

        command = Signal(SequenceCommand, reset_less=True)
        heads, stride, length = command.heads, command.stride, command.length

        # The block whose keys are next, and of its head: where it begins, and its ring.
        addr = Signal(UNIT_ADDRESS_BITS, reset_less=True)
        begin = Signal(UNIT_ADDRESS_BITS, reset_less=True)
        bottom = command.addr
        top = Signal(UNIT_ADDRESS_BITS, reset_less=True)
        ring = Signal(reset_less=True)
        skipped = Signal(range(KV_BLOCK), reset_less=True)
        left = Signal(LENGTH_BITS, reset_less=True)
        first = Signal(reset_less=True)
        last = Signal()
        final = Signal()
        count = Signal(6)
        skip = Signal(range(KV_BLOCK))
        m.d.comb += [
            last.eq(left <= KV_BLOCK),
            final.eq(last & (heads == 1)),
            count.eq(Mux(last, left, KV_BLOCK)),
            skip.eq(Mux(first, skipped, 0)),
        ]
        m.submodules.window = window = WindowStart(self.config)
        m.d.comb += [
            getattr(window, name).eq(command[name])
            for name in ("length", "window", "addr", "newest", "stride")
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
                behind.addr.eq(addr + 1 + (KV_BLOCK + skip) * line_units),
                behind.count.eq(count - skip),
                behind.first.eq(first),
                behind.last.eq(last),
                behind.final.eq(final),
                first.eq(last),
            ]
            with m.If(last):
                m.d.sync += [
                    heads.eq(heads - 1),
                    bottom.eq(bottom + stride),
                    begin.eq(begin + stride),
                    top.eq(top + stride),
                    addr.eq(begin + stride),
                    left.eq(length),
                ]
            with m.Else():
                turns = ring & (addr == top)
                m.d.sync += [
                    addr.eq(Mux(turns, bottom, addr + block_units)),
                    left.eq(left - KV_BLOCK),
                ]

        primed = Signal()
        waited = Signal(range(window.LATENCY + 1))
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.command.ready.eq(1)
                with m.If(self.command.valid):
                    m.d.sync += [
                        command.eq(self.command.p),
                        addr.eq(self.command.p.addr),
                        begin.eq(self.command.p.addr),
                        left.eq(self.command.p.length),
                        ring.eq(self.command.p.window != 0),
                        skipped.eq(0),
                        first.eq(1),
                        primed.eq(0),
                    ]
                    m.next = "KEYS"
                    with m.If(self.command.p.window != 0):
                        m.next = "WINDOW"

            with m.State("WINDOW"):
                m.d.sync += waited.eq(waited + 1)
                with m.If(waited == window.LATENCY):
                    m.d.sync += [
                        waited.eq(0),
                        addr.eq(window.first),
                        begin.eq(window.first),
                        top.eq(window.top),
                        left.eq(window.left),
                        length.eq(window.left),
                        skipped.eq(window.skip),
                    ]
                    m.next = "KEYS"

            with m.State("KEYS"):
                with m.If(free):
                    m.d.sync += self.emit(0, addr, count * line_units + 1, count, skip, first, last)
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
                        0,
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

    def emit(self, value, addr, size, count, skip, first, last):
        """Assignments that request a phase, and announce it."""
        return [
            self.req.valid.eq(1),
            self.req.p.addr.eq(addr),
            self.req.p.size.eq(size),
            self.phase.valid.eq(1),
            self.phase.p.value.eq(value),
            self.phase.p.count.eq(count),
            self.phase.p.skip.eq(skip),
            self.phase.p.first.eq(first),
            self.phase.p.last.eq(last),
        ]
