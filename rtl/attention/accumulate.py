"""Accumulators of the attention unit: numerators and denominators."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..bus.delay import delayed
from ..spec.limits import DENOMINATOR_BITS, NUMERATOR_BITS
from .products import PRODUCT_BITS
from .softmax import Rescale
from .tag import Tag


__all__ = ["Accumulators"]


class Accumulators(wiring.Component):
    """Add up weighted values and weights, block by block; rescale before a block.

    A rescaling shift is made of steps of 4 bits and of 1, head_dim / beat_bytes cycles each, that
    all numerators of a query take together; the queries' steps are taken side by side. So a shift
    by n takes n // 4 + n % 4 steps of the at most 12 there are. Elements of different chunks share
    an adder, and a memory where there are several chunks.

    Throughput is one beat per cycle, without stalls.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
        Its `queries`, `head_dim` and `beat_bits` are used.

    Members
    -------
    rescale : :py:`In(stream.Signature(Rescale(config)))`
        Before a block. Taken when the block before is complete and, where it was the last of its
        head, read.
    open : :py:`Out(1)`
        Ready for the values of a block.
    closing : :py:`In(1)`
        The last of them is on its way.
    tag : :py:`In(Tag(config))`
        What the beat is that enters :class:`ProductArray` now.
    shares : :py:`In(16).array(queries)`
        What its position adds to the denominators.
    products : :py:`In(signed(25)).array(queries, beat_bytes)`
        Products that leave the products now.
    result : :py:`Out(stream.Signature(data.ArrayLayout(8, queries)))`
        Sums of a head are complete, and stay until this is taken. The payload tells how much larger
        the numerators' exponents are than the denominators'.
    chunk : :py:`In(range(head_dim / beat_bytes))`
        Numerators to read in the next cycle.
    numerators : :py:`Out(signed(40)).array(queries, beat_bytes)`
        Elements chunk * beat_bytes and following, at once.
    denominators : :py:`Out(32).array(queries)`
        Denominators.
    """

    def __init__(self, config):
        self.config = config
        chunk = range(config.head_dim // config.beat_bytes)
        super().__init__(
            {
                "rescale": In(stream.Signature(Rescale(config))),
                "open": Out(1),
                "closing": In(1),
                "tag": In(Tag(config)),
                "shares": In(16).array(config.queries),
                "products": In(signed(PRODUCT_BITS)).array(config.queries, config.beat_bytes),
                "result": Out(stream.Signature(data.ArrayLayout(8, config.queries))),
                "chunk": In(chunk),
                "numerators": Out(signed(NUMERATOR_BITS)).array(config.queries, config.beat_bytes),
                "denominators": Out(DENOMINATOR_BITS).array(config.queries),
            }
        )

    def elaborate(self, platform):
        m = Module()
        queries, width = self.config.queries, self.config.beat_bytes
        chunks = self.config.head_dim // width

        numerator_left = [Signal(6, name=f"numerator_left{q}") for q in range(queries)]
        denominator_left = [Signal(6, name=f"denominator_left{q}") for q in range(queries)]
        last = Signal(reset_less=True)
        scaling = Signal()
        step_ends = Signal()
        step_chunk = Signal(range(chunks))
        m.d.comb += step_ends.eq(scaling & (step_chunk == chunks - 1))

        # Three stages: register the address, which fans out to every memory; read and shift; add
        # and write. A single chunk is in registers, and does the last two in one cycle.
        reading, writing = (2 if chunks == 1 else 1), 2
        address = Signal(range(chunks), reset_less=True)
        m.d.sync += address.eq(
            Mux(scaling, step_chunk, Mux(self.tag.value, self.tag.chunk, self.chunk))
        )
        fresh = delayed(
            m, self.tag.value & self.tag.first & self.tag.open, reading, reset_less=True
        )
        add = delayed(m, self.tag.value, writing)
        write = delayed(m, self.tag.value | scaling, writing)
        write_address = delayed(m, address, writing - 1, reset_less=True)
        complete = delayed(m, self.tag.value & self.tag.end & self.tag.close, writing)

        with m.FSM():
            with m.State("WAIT"):
                m.d.comb += self.rescale.ready.eq(1)
                m.d.sync += [
                    last.eq(self.rescale.p.last),
                    self.result.payload.eq(self.rescale.p.exponent),
                ]
                with m.If(self.rescale.valid):
                    for q in range(queries):
                        m.d.sync += [
                            numerator_left[q].eq(
                                Mux(self.rescale.p.first, 0, self.rescale.p.numerator[q])
                            ),
                            denominator_left[q].eq(
                                Mux(self.rescale.p.first, 0, self.rescale.p.denominator[q])
                            ),
                        ]
                    m.next = "SCALE"

            with m.State("SCALE"):
                m.d.comb += scaling.eq(Cat(numerator_left, denominator_left).any())
                m.d.sync += step_chunk.eq(Mux(scaling & ~step_ends, step_chunk + 1, 0))
                with m.If(~scaling):
                    m.d.sync += self.open.eq(1)
                    m.next = "ADD"

            with m.State("ADD"):
                with m.If(complete & last):
                    m.next = "RESULT"
                with m.Elif(complete):
                    m.next = "WAIT"

            with m.State("RESULT"):
                m.d.comb += self.result.valid.eq(1)
                with m.If(self.result.ready):
                    m.next = "WAIT"
        with m.If(self.closing):
            m.d.sync += self.open.eq(0)

        for q in range(queries):
            with m.If(step_ends):
                for left in (numerator_left[q], denominator_left[q]):
                    self.count_down(m, left)

            self.denominator(m, q, denominator_left[q], step_ends)

            by4 = delayed(m, numerator_left[q] >= 4, reading, reset_less=True)
            by1 = delayed(
                m, (numerator_left[q] < 4) & (numerator_left[q] != 0), reading, reset_less=True
            )
            for n in range(width):
                self.numerator(m, q, n, fresh, by4, by1, add, write, address, write_address)

        return m

    def count_down(self, m, left):
        """Take a step of 4 bits, or of 1, off a shift that is left."""
        with m.If(left >= 4):
            m.d.sync += left.eq(left - 4)
        with m.Elif(left != 0):
            m.d.sync += left.eq(left - 1)

    def denominator(self, m, q, left, step_ends):
        """Shift a query's denominator while there is any shift left, and add the shares to it."""
        total = Signal(DENOMINATOR_BITS, name=f"denominator{q}", reset_less=True)
        m.d.comb += self.denominators[q].eq(total)
        with m.If(step_ends):
            with m.If(left >= 4):
                m.d.sync += total.eq(total >> 4)
            with m.Elif(left != 0):
                m.d.sync += total.eq(total >> 1)
        with m.If(self.tag.value & self.tag.start):
            m.d.sync += total.eq(Mux(self.tag.first & self.tag.open, 0, total) + self.shares[q])

    def numerator(self, m, q, n, fresh, by4, by1, add, write, address, write_address):
        """Shift one element's numerators, and add the products to them: one per chunk of a head."""
        chunks = self.config.head_dim // self.config.beat_bytes
        old = Signal(signed(NUMERATOR_BITS), name=f"old{q}_{n}")
        shifted = Signal(signed(NUMERATOR_BITS), name=f"shifted{q}_{n}")
        product = Signal(signed(PRODUCT_BITS), name=f"product{q}_{n}")
        new = Signal(signed(NUMERATOR_BITS), name=f"new{q}_{n}")
        m.d.comb += [
            self.numerators[q][n].eq(old),
            shifted.eq(Mux(fresh, 0, Mux(by4, old >> 4, Mux(by1, old >> 1, old)))),
            product.eq(Mux(add, self.products[q][n], 0)),
        ]

        if chunks == 1:
            total = Signal(signed(NUMERATOR_BITS), name=f"numerator{q}_{n}", reset_less=True)
            m.d.comb += [old.eq(total), new.eq(shifted + product)]
            with m.If(write):
                m.d.sync += total.eq(new)
        else:
            memory = Memory(shape=signed(NUMERATOR_BITS), depth=chunks, init=[])
            m.submodules[f"numerator{q}_{n}"] = memory
            write_port = memory.write_port()
            read_port = memory.read_port(domain="comb")
            # Reads and writes never collide: chunks come in turn.
            read = Signal(signed(NUMERATOR_BITS), name=f"read{q}_{n}", reset_less=True)
            m.d.sync += read.eq(shifted)
            m.d.comb += [
                read_port.addr.eq(address),
                old.eq(read_port.data),
                new.eq(read + product),
                write_port.addr.eq(write_address),
                write_port.data.eq(new),
                write_port.en.eq(write),
            ]
