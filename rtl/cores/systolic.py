"""Systolic linear core."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..spec.config import GROUP, Config
from ..spec.isa import WeightFormat
from .output import OutputQueue, capacity


__all__ = ["CORE_WEIGHTS", "SUM_BITS", "SystolicCore"]


SUM_BITS = 20  # 16 products of -128 and -128 are 2**18


def CORE_WEIGHTS(config):
    """What a linear core takes of a step; one that multiplies sparse blocks as they are stored
    takes their indices too."""
    return data.StructLayout({"codes": config.beat_bits, "format": 3})


def adder_tree(m, terms, name):
    """Sum signed `terms` with a register behind every adder, which has the place of a LUT anyway.
    Returns the sum, registered."""
    level = 0
    while len(terms) > 1:
        sums = [low + high for low, high in zip(terms[0::2], terms[1::2])]
        terms = [Signal(s.shape(), name=f"{name}_{level}_{n}", reset_less=True) for n, s in enumerate(sums)]
        m.d.sync += [t.eq(s) for t, s in zip(terms, sums)]
        level += 1
    return terms[0]


class SystolicCore(wiring.Component):
    """Multiply weights with activations: a dense array of dot products, exact in integers.

    The array has `rows` x `columns` cells of :data:`~rtl.spec.config.GROUP` multipliers each. Weights
    move from column to column through the cells' own operand registers (Kung and Leiserson 1978),
    so that column m works m cycles behind column 0; activations are delayed on the way in, and sums
    on the way out, to match. Per step, row n and column m:

    - U4: the sum of (2 * code - 15) * act over the 32 elements of a group;
    - S8: the sum of code * act over the 16 elements of half a group; acts 16 to 31 do not matter;
    - TERNARY: the sum of code * act over the 32 elements of a group, with codes of 4 bits in two's
      complement, placed as those of U4.

    Latency is :attr:`latency` cycles, throughput one step per cycle. Backpressure is respected: the
    array itself never stops, but takes only steps for whose sums there is room in the queue behind it.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
        Accelerator.

    Attributes
    ----------
    latency : :class:`int`
        Cycles from a step's operands to its sums.
    capacity : :class:`int`
        Steps that the core holds at most, counting those whose sums are not taken.
    inputs : :class:`int`
        Activations per table of `acts`: 1, they come as they are.
    lanes : :class:`int`
        Rows of a payload of sums.
    native : set of :class:`~rtl.spec.isa.WeightFormat`
        Formats whose steps the core takes as they come. It takes those of others N rows at a time,
        ternary ones as TERNARY, the 16 elements of a row of a sparse block as S8.

    Members
    -------
    weights : :py:`In(stream.Signature(CORE_WEIGHTS(config)))`
        Codes of N rows, laid out as :mod:`rtl.spec.formats` says. Taken together with `acts`.
    acts : :py:`In(stream.Signature(data.ArrayLayout(data.ArrayLayout(signed(8), 32), columns)))`
        Activations of each column. Taken together with `weights`.
    sums : :py:`Out(stream.Signature(data.ArrayLayout(data.ArrayLayout(signed(20), rows), columns)))`
        Sums of the step, by column and row.
    """
    def __init__(self, config):
        if not isinstance(config, Config):
            raise TypeError(f"Configuration must be a Config, not {config!r}")
        self.config = config
        self.inputs, self.lanes = 1, config.rows
        self.native = frozenset({WeightFormat.U4, WeightFormat.S8})
        # Operands, products, tree; the last column's delay; the queue.
        self.latency = 2 + (GROUP - 1).bit_length() + config.columns - 1 + 1
        self.capacity = capacity(self.latency)
        super().__init__({
            "weights": In(stream.Signature(CORE_WEIGHTS(config))),
            "acts":    In(stream.Signature(
                data.ArrayLayout(data.ArrayLayout(signed(8), GROUP), config.columns))),
            "sums":    Out(stream.Signature(
                data.ArrayLayout(data.ArrayLayout(signed(SUM_BITS), self.lanes), config.columns))),
        })

    def outputs(self, fmt, mode=0):
        """Payloads of sums that a step gives."""
        return 1

    def elaborate(self, platform):
        m = Module()

        m.submodules.results = results = OutputQueue(self.sums.p.shape(), latency=self.latency)
        wiring.connect(m, results.o, wiring.flipped(self.sums))
        m.d.comb += [
            self.weights.ready.eq(self.acts.valid & results.room),
            self.acts.ready.eq(self.weights.valid & results.room),
            results.enter.eq(self.weights.valid & self.weights.ready),
        ]

        columns, rows = range(self.config.columns), range(self.config.rows)
        acts = [self._acts(m, c) for c in columns]
        sums = [self._row(m, n, acts) for n in rows]
        m.d.comb += results.i.as_value().eq(Cat(sums[n][c] for c in columns for n in rows))

        return m

    def _acts(self, m, column):
        """Operand registers of a column's activations, which its rows share."""
        acts = self.acts.p[column]
        for n in range(column + 1):
            later = [Signal(signed(8), name=f"act_{column}_{n}_{k}", reset_less=True)
                     for k in range(GROUP)]
            m.d.sync += [later[k].eq(acts[k]) for k in range(GROUP)]
            acts = later
        return acts

    def _operands(self, row):
        """Signed multiplier operands of the row, one per element, from the step in front."""
        codes = self.weights.p.codes[4 * GROUP * row:4 * GROUP * (row + 1)]
        operands = []
        for k in range(GROUP):
            nibble = codes.word_select(2 * (k % 16) + k // 16, 4)
            operand = codes.word_select(k, 8).as_signed() if k < 16 else C(0)
            if "U4" in self.config.formats:
                # 2 * code - 15 is the code with a one after it, and the top bit turned into a sign.
                odd = Cat(1, nibble[:3], ~nibble[3]).as_signed()
                operand = Mux(self.weights.p.format == WeightFormat.U4, odd, operand)
            if "TERNARY" in self.config.formats:
                operand = Mux(self.weights.p.format == WeightFormat.TERNARY, nibble.as_signed(), operand)
            operands.append(operand)
        return operands

    def _row(self, m, row, acts):
        """Add the cells of one row. Returns its sums, column by column, all of the same step."""
        sums, operands = [], self._operands(row)
        for column in range(self.config.columns):
            weights = [Signal(signed(8 if k < 16 else 5), name=f"weight_{row}_{column}_{k}",
                              reset_less=True) for k in range(GROUP)]
            products = [Signal(signed(len(w) + 8), name=f"product_{row}_{column}_{k}",
                               reset_less=True) for k, w in enumerate(weights)]
            m.d.sync += [w.eq(o) for w, o in zip(weights, operands)]
            m.d.sync += [p.eq(w * a) for p, w, a in zip(products, weights, acts[column])]
            total = adder_tree(m, products, f"sum_{row}_{column}")
            for n in range(self.config.columns - 1 - column):
                later = Signal.like(total, name=f"later_{row}_{column}_{n}")
                m.d.sync += later.eq(total)
                total = later
            assert len(total) >= SUM_BITS
            sums.append(total[:SUM_BITS])
            operands = weights
        return sums
