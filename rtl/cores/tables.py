"""Lookup tables of sums of activations, for weights of one bit."""

from functools import reduce
from operator import xor

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


__all__ = ["SignTable", "encode", "look_up"]


class SignTable(wiring.Component):
    """Add activations up under every choice of signs, but for the last one's, which is plus.

    The symmetrized table of LUT Tensor Core (arXiv:2408.06003): bits of weights stand for +1 and
    -1, so the entry of the inverted bits is the negative of an entry, and half of them are enough.
    Entry e is the last activation, plus or minus activation k as bit k of e is 1 or 0.

    Latency is `LATENCY` cycles, throughput one table per cycle, without stalls.

    Parameters
    ----------
    inputs : :class:`int`
        Activations (K): 2 or 4.

    Attributes
    ----------
    bound : :class:`int`
        No entry, nor its negative, is larger. An entry of exactly that is negative.

    Members
    -------
    i : :py:`In(signed(8)).array(inputs)`
        Activations.
    o : :py:`Out(signed(7 + log2(inputs) + 1)).array(2**(inputs - 1))`
        Entries.
    """
    LATENCY = 2

    def __init__(self, inputs):
        if inputs not in (2, 4):
            raise ValueError(f"Inputs of a table must be 2 or 4, not {inputs!r}")
        self.inputs = inputs
        self.bound = 128 * inputs
        super().__init__({
            "i": In(signed(8)).array(inputs),
            "o": Out(signed(self.bound.bit_length())).array(1 << inputs - 1),
        })

    def elaborate(self, platform):
        m = Module()

        def registers(name, terms):
            stage = [Signal(t.shape(), name=f"{name}_{n}", reset_less=True)
                     for n, t in enumerate(terms)]
            m.d.sync += [s.eq(t) for s, t in zip(stage, terms)]
            return stage

        def signs(name, low, high):
            return registers(name, [high - low, high + low])

        if self.inputs == 2:
            entries = signs("entry", *registers("act", self.i))
        else:
            low, high = signs("low", *self.i[:2]), signs("high", *self.i[2:])
            # low[~n] is -low[n] with a plus before its second activation.
            entries = registers("entry", [
                high[e >> 2] + low[e & 1] if e & 2 else high[e >> 2] - low[~e & 1] for e in range(8)])
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
    return reduce(xor, [a & x | b & y | x & y for a, b, x, y in
                        zip(entries[0::2], entries[1::2], first, second)]).as_signed()
