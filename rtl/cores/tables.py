"""Lookup tables of sums of activations, for weights of one bit."""

from functools import reduce
from operator import xor

from amaranth import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..spec.config import GROUP


__all__ = ["TABLES", "SignTable", "bound", "encode", "look_up"]


def bound(inputs):
    """No entry of a table, nor its negative, is larger. An entry of exactly that is negative."""
    return 128 * inputs


def TABLE(inputs):
    """Entries of a table of some activations."""
    return data.ArrayLayout(signed(bound(inputs).bit_length()), 1 << inputs - 1)


def TABLES(inputs, elements=GROUP):
    """Tables of a group of activations, or of some of its elements; of one activation each, they
    are the activations."""
    return data.ArrayLayout(TABLE(inputs), elements // inputs)


class SignTable(wiring.Component):
    """Add activations up under every choice of signs, but for the last one's, which is plus.

    The symmetrized table of LUT Tensor Core (arXiv:2408.06003): bits of weights stand for +1 and
    -1, so the entry of the inverted bits is the negative of an entry, and half of them are enough.
    Entry e is the last activation, plus or minus activation k as bit k of e is 1 or 0. The table of
    one activation is the activation.

    Latency is one cycle, throughput one table per cycle, without stalls.

    Parameters
    ----------
    inputs : :class:`int`
        Activations (K): 1, 2 or 4.

    Members
    -------
    i : :py:`In(data.ArrayLayout(signed(8), inputs))`
        Activations.
    en : :py:`In(1)`
        The registers take what follows from `i`.
    o : :py:`Out(TABLE(inputs))`
        Entries, signed, of 8, 9 or 10 bits. Those of four inputs have an adder behind the
        registers.
    """

    def __init__(self, inputs):
        if inputs not in (1, 2, 4):
            raise ValueError(f"Inputs of a table must be 1, 2 or 4, not {inputs!r}")
        self.inputs = inputs
        super().__init__(
            {
                "i": In(data.ArrayLayout(signed(8), inputs)),
                "en": In(1, init=1),
                "o": Out(TABLE(inputs)),
            }
        )

    def elaborate(self, platform):
        m = Module()

        def registers(name, terms):
            stage = [
                Signal(t.shape(), name=f"{name}_{n}", reset_less=True) for n, t in enumerate(terms)
            ]
            with m.If(self.en):
                m.d.sync += [s.eq(t) for s, t in zip(stage, terms)]
            return stage

        def signs(name, low, high):
            return registers(name, [high - low, high + low])

        if self.inputs == 1:
            entries = registers("act", self.i)
        elif self.inputs == 2:
            entries = signs("entry", *self.i)
        else:
            low, high = signs("low", *self.i[:2]), signs("high", *self.i[2:])
            # low[~n] is -low[n] with a plus before its second activation.
            entries = [
                high[e >> 2] + low[e & 1] if e & 2 else high[e >> 2] - low[~e & 1] for e in range(8)
            ]
        m.d.comb += [o.eq(entry) for o, entry in zip(self.o, entries)]

        return m


def encode(bits):
    """Selection of the table's entry for weights `bits`, which 1 is +1 and 0 is -1 of.

    Returns two bits for every pair of entries, to be given to :func:`look_up`, and whether
    the entry is to be negated, that is, whether one is still to be added.
    """
    negative = ~bits[-1]
    index = Cat(bits[:-1]) ^ negative.replicate(len(bits) - 1)
    if len(bits) == 2:
        return [Cat(index, negative)], negative
    # Take none of a pair, the first, the second, or ones: when another pair's is to be inverted.
    codes = []
    for n in range(1 << len(bits) - 2):
        here = index[1:] == n
        invert = negative & (index[1:] == (n + 1) % (1 << len(bits) - 2))
        codes.append(Cat(here & ~index[0] | invert, here & index[0] | invert))
    return codes, negative


def look_up(entries, codes):
    """Entry, or its inverse, that `codes` select. Per bit, one function of four inputs for each
    pair of entries, and with several pairs one that combines them."""
    entries = [Value.cast(entry).as_unsigned() for entry in entries]
    width = len(entries[0])
    if len(codes) == 1:
        index, negative = codes[0]
        return (Mux(index, entries[1], entries[0]) ^ negative.replicate(width)).as_signed()
    first, second = ([code[n].replicate(width) for code in codes] for n in (0, 1))
    return reduce(
        xor,
        [a & x | b & y | x & y for a, b, x, y in zip(entries[0::2], entries[1::2], first, second)],
    ).as_signed()
