"""Systolic linear core."""

from amaranth import *

from ..spec.isa import WeightFormat
from .among import among
from .core import SIX, SUM_BITS, LinearCore, nibble, register, six_bits


__all__ = ["SystolicCore"]


def adder_tree(m, terms, name):
    """Sum signed `terms` with a register behind every adder, which has the place of a LUT anyway.
    Returns the sum, registered."""
    level = 0
    while len(terms) > 1:
        sums = [low + high for low, high in zip(terms[0::2], terms[1::2])]
        terms = [
            Signal(s.shape(), name=f"{name}_{level}_{n}", reset_less=True)
            for n, s in enumerate(sums)
        ]
        m.d.sync += [t.eq(s) for t, s in zip(terms, sums)]
        level += 1
    return terms[0]


@register
class SystolicCore(LinearCore):
    """Multiply weights with activations: a dense array of dot products, exact in integers.

    The array has `rows` x `columns` cells of :data:`~rtl.spec.numbers.GROUP` multipliers each.
    Weights move from column to column through the cells' own operand registers (Kung and Leiserson
    1978), so that column m works m cycles behind column 0; activations are delayed on the way in,
    and sums on the way out, to match. Where steps come in parts, there are :attr:`elements`
    multipliers. Per step, row n and column m:

    - U4: the sum of (2 * code - 15) * act over the 32 elements of a group;
    - S8: the sum of code * act over the 16 elements of half a group; acts 16 to 31 do not matter;
    - TERNARY: the sum of code * act over the 32 elements of a group, with codes of 4 bits in two's
      complement, placed as those of U4;
    - formats of six bits: the same, with codes of 6 bits.

    Latency is :attr:`latency` cycles, throughput one step per cycle. Backpressure is respected: the
    array itself never stops, but takes only steps for whose sums there is room in the queue behind
    it.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
        Accelerator.
    """

    what = "A systolic array of multipliers, one for each weight of four bits and column."

    def __init__(self, config):
        self.check(config)
        # Operands, products, tree; the last column's delay; the queue.
        latency = 2 + (config.elements - 1).bit_length() + config.columns - 1 + 1
        lanes = config.rows * (2 if config.halved else 1)
        super().__init__(config, latency=latency, native=config.native, lanes=lanes)
        self.upper_bits = 6 if config.high_bits else 5  # of the weights 16 to 31 of a row

    def elaborate(self, platform):
        m = Module()

        columns, rows = range(self.config.columns), range(self.config.rows)
        acts = [self._acts(m, c) for c in columns]
        sums = [self._row(m, n, acts) for n in rows]
        halves = range(self.lanes // self.config.rows)
        self.take_steps(m, [sums[n][c][half] for c in columns for half in halves for n in rows])

        return m

    def _acts(self, m, column):
        """Operand registers of a column's activations, which its rows share."""
        acts = self.acts.p[column]
        for n in range(column + 1):
            later = [
                Signal(signed(8), name=f"act_{column}_{n}_{k}", reset_less=True)
                for k in range(self.elements)
            ]
            m.d.sync += [later[k].eq(acts[k]) for k in range(self.elements)]
            acts = later
        return acts

    def _operands(self, row):
        """Signed multiplier operands of the row, one per element, from the step in front."""
        codes, operands = self.weights.p.codes, []
        half = self.elements // 2
        for k in range(self.elements):
            four = nibble(codes, self.elements, row, k)
            operand = codes.word_select(half * row + k, 8).as_signed() if k < half else C(0)
            if "U4" in self.config.formats:
                # 2 * code - 15 is the code with a one after it, and the top bit turned into a sign.
                odd = Cat(1, four[:3], ~four[3]).as_signed()
                operand = Mux(self.weights.p.format == WeightFormat.U4, odd, operand)
            if "TERNARY" in self.config.formats:
                operand = Mux(
                    self.weights.p.format == WeightFormat.TERNARY, four.as_signed(), operand
                )
            if self.config.high_bits:
                wide = among(self.weights.p.format, self.native & SIX)
                operand = Mux(wide, six_bits(self.weights.p, self.elements, row, k), operand)
            operands.append(operand)
        return operands

    def _row(self, m, row, acts):
        """Add the cells of one row. Returns its sums, and those of its upper halves, column by
        column, all of the same step.
        """
        sums, operands, half = [], self._operands(row), self.elements // 2
        for column in range(self.config.columns):
            weights = [
                Signal(
                    signed(8 if k < half else self.upper_bits),
                    name=f"weight_{row}_{column}_{k}",
                    reset_less=True,
                )
                for k in range(self.elements)
            ]
            products = [
                Signal(signed(len(w) + 8), name=f"product_{row}_{column}_{k}", reset_less=True)
                for k, w in enumerate(weights)
            ]
            m.d.sync += [w.eq(o) for w, o in zip(weights, operands)]
            m.d.sync += [p.eq(w * a) for p, w, a in zip(products, weights, acts[column])]
            halves = [
                adder_tree(m, products[k : k + half], f"sum_{row}_{column}_{k}") for k in (0, half)
            ]
            found = [sum(halves), halves[1]]
            for n in range(self.config.columns - column):
                later = [
                    Signal(v.shape(), name=f"{name}_{row}_{column}_{n}", reset_less=True)
                    for name, v in zip(("total", "upper"), found)
                ]
                m.d.sync += [a.eq(b) for a, b in zip(later, found)]
                found = later
            sums.append([found[0][:SUM_BITS], found[1]])
            operands = weights
        return sums
