"""Adds the sums of blocks to those of a head."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..bus.delay import delayed
from ..spec.limits import NUMERATOR_BITS


__all__ = ["Fold"]


class Fold(wiring.Component):
    """Shift one sum after the other right, and add a word to each.

    Computes :func:`sw_ref.attention.accumulate`, bit for bit. Words are differences between what an
    accumulator is and what it was when its last word came, or whole.

    Latency is `LATENCY` enabled cycles, throughput one word per enabled cycle; a sum is not asked
    for again before its result is there.

    Parameters
    ----------
    bits : :class:`int`
        Of an accumulator, signed.
    befores : :class:`int`
        Accumulators.
    address_bits : :class:`int`
        Sums are so many: two to this power.

    Members
    -------
    en : :py:`In(1)`
        The pipeline advances by one stage.
    valid : :py:`In(1)`
        A word comes. With it come all below.
    word : :py:`In(signed(bits))`
        Accumulator.
    before : :py:`In(range(befores))`
        Its number.
    whole : :py:`In(1)`
        The word is no accumulator, and is added as it is.
    first : :py:`In(1)`
        The sum was 0.
    shift : :py:`In(6)`
        Right shift, at most 40.
    address : :py:`In(address_bits)`
        The sum's number.
    o : :py:`Out(signed(40))`
        Sum.
    """

    LATENCY = 4

    def __init__(self, bits, befores, address_bits):
        self.bits, self.befores, self.address_bits = bits, befores, address_bits
        super().__init__(
            {
                "en": In(1),
                "valid": In(1),
                "word": In(signed(bits)),
                "before": In(range(befores)),
                "whole": In(1),
                "first": In(1),
                "shift": In(6),
                "address": In(address_bits),
                "o": Out(signed(NUMERATOR_BITS)),
            }
        )

    def elaborate(self, platform):
        m = Module()

        m.submodules.befores = befores = Memory(
            shape=self.bits, depth=1 << (self.befores - 1).bit_length(), init=[]
        )
        was_port, is_port = befores.read_port(domain="comb"), befores.write_port()
        m.submodules.sums = sums = Memory(
            shape=signed(NUMERATOR_BITS), depth=1 << self.address_bits, init=[]
        )
        read_port, write_port = sums.read_port(), sums.write_port()

        def later(value, cycles, **options):
            return delayed(m, value, cycles, en=self.en, **options)

        word = later(self.word, 1, reset_less=True)
        was = Signal(self.bits, reset_less=True)
        coarse = Signal(signed(NUMERATOR_BITS), reset_less=True)
        difference = Signal(signed(self.bits), reset_less=True)
        fine = Signal.like(coarse, reset_less=True)
        total = Signal.like(coarse, reset_less=True)
        m.d.comb += [
            was_port.addr.eq(self.before),
            is_port.addr.eq(later(self.before, 1, reset_less=True)),
            is_port.data.eq(word),
            is_port.en.eq(later(self.valid & ~self.whole, 1) & self.en),
            read_port.addr.eq(self.address),
            read_port.en.eq(self.en),
            write_port.addr.eq(later(self.address, self.LATENCY, reset_less=True)),
            write_port.data.eq(total),
            write_port.en.eq(later(self.valid, self.LATENCY)),
            self.o.eq(total),
        ]
        first = later(self.first, 1, reset_less=True)
        shift = later(self.shift, 1, reset_less=True)
        with m.If(self.en):
            m.d.sync += [
                was.eq(Mux(self.whole, 0, was_port.data)),
                difference.eq(word - was),
                coarse.eq(Mux(first, 0, read_port.data >> Cat(C(0, 3), shift[3:]))),
                fine.eq(coarse >> later(shift[:3], 1, reset_less=True)),
                total.eq(fine + later(difference, 1, reset_less=True)),
            ]
        return m
