"""Row scaling: from exact sums to fp32 results."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..bus.delay import delayed
from ..bus.skid import SkidBuffer
from ..fp.format import MAX
from ..fp.from_int import IntToFp
from ..fp.mul import FpMul
from ..spec.config import Config
from ..spec.limits import ACC_BITS, ROW_BITS
from ..spec.numbers import TILES, WINDOW
from ..spec.sparse_modes import BLOCK


__all__ = ["BIAS", "ScaleCommand", "ScaledResult", "RowScaler"]


STRIPE = BLOCK  # slices of a stripe
BIAS = 127 + 6 + WINDOW  # of top exponents, see :func:`sw_ref.numerics.linear_scale`

# A matrix to come: its rows, and the last column of which results are wanted; or the only one. Its
# rows are padded to a multiple of 4 N, or, where `sparse`, of 16 N.
ScaleCommand = data.StructLayout({"rows": ROW_BITS, "single": 1, "column": 4, "sparse": 1})

# One fp32 result; `last` marks the matrix's last.
ScaledResult = data.StructLayout({"value": 32, "row": ROW_BITS, "column": 4, "last": 1})


class RowScaler(wiring.Component):
    """Scale the sums of a matrix product, one result after the other.

    Computes :func:`sw_ref.numerics.linear_scale` bit for bit: the sum is rounded to fp32,
    multiplied by the row's scale, and has the top exponent of the column's activation vector added.
    Slice of N rows after slice, results come column by column, the rows of the slice in order. The
    rows that pad the matrix are taken, but give no results.

    Latency is `LATENCY` cycles; throughput is one result per cycle, so a slice takes N cycles for
    each column that is wanted. Backpressure is respected. A command is taken when the
    results of the last one have left.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
        Its `rows` (N) and `columns` (M) are used.

    Members
    -------
    command : :py:`In(stream.Signature(ScaleCommand))`
        Matrix to come, of at least one row.
    top : :py:`In(data.ArrayLayout(8, M))`
        Largest biased group exponent of each column's activations. Sampled with `command`.
    accs : :py:`In(stream.Signature(data.ArrayLayout(data.ArrayLayout(signed(53), N), M)))`
        Exact sums, a payload per slice.
    row_scales : :py:`In(stream.Signature(data.ArrayLayout(32, N)))`
        fp32 scales of the slice's rows, any patterns, a payload per slice. Taken together with
        `accs`.
    o : :py:`Out(stream.Signature(ScaledResult))`
        Results.
    """

    LATENCY = 2 + IntToFp.LATENCY + FpMul.LATENCY

    def __init__(self, config):
        if not isinstance(config, Config):
            raise TypeError(f"Configuration must be a Config, not {config!r}")
        self.config = config
        n, m = config.rows, config.columns
        super().__init__(
            {
                "command": In(stream.Signature(ScaleCommand)),
                "top": In(data.ArrayLayout(8, m)),
                "accs": In(
                    stream.Signature(data.ArrayLayout(data.ArrayLayout(signed(ACC_BITS), n), m))
                ),
                "row_scales": In(stream.Signature(data.ArrayLayout(32, n))),
                "o": Out(stream.Signature(ScaledResult)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        n_rows, n_columns = self.config.rows, self.config.columns

        m.submodules.to_fp = to_fp = IntToFp(ACC_BITS)
        m.submodules.mul = mul = FpMul()

        # Skid buffer: the output's `ready` arrives late, and would reach every stage's enable.
        m.submodules.skid = skid = SkidBuffer(ScaledResult)
        wiring.connect(m, skid.o, wiring.flipped(self.o))
        out = skid.i

        # One enable for the whole pipeline: it moves when its output is free.
        en = Signal()
        m.d.comb += [
            en.eq(out.ready | ~out.valid),
            to_fp.en.eq(en),
            mul.en.eq(en),
        ]

        active = Signal()
        last_row = Signal(ROW_BITS)
        top = Signal.like(self.top)
        pads = Signal(range(STRIPE))  # ones: slices come in blocks of one more
        start = Signal(range(n_columns))  # column that each slice starts with
        end = Signal(range(n_columns))  # and ends with
        column = Signal(range(n_columns))
        row = Signal(range(n_rows))
        part = Signal(ROW_BITS - (n_rows - 1).bit_length())  # the slice's number

        # Rows per slice are a power of two: the place of a row needs no addition.
        here = Signal(ROW_BITS)
        part_ends = Signal()
        row_ends = Signal()
        step = Signal()
        m.d.comb += [
            here.eq(Cat(row, part)),
            row_ends.eq(row == n_rows - 1),
            part_ends.eq(row_ends & (column == end)),
            step.eq(active & self.accs.valid & self.row_scales.valid & en),
            self.accs.ready.eq(step & part_ends),
            self.row_scales.ready.eq(step & part_ends),
        ]
        with m.If(step):
            m.d.sync += row.eq(Mux(row_ends, 0, row + 1))
            with m.If(row_ends):
                m.d.sync += column.eq(column + 1)
            with m.If(part_ends):
                m.d.sync += column.eq(start)
                m.d.sync += part.eq(part + 1)
                with m.If(((part & pads) == pads) & (here >= last_row)):
                    m.d.sync += active.eq(0)

        # First, select the sum from the slice, which the stream holds stable.
        acc = Signal(signed(ACC_BITS), reset_less=True)
        scale = Signal(32, reset_less=True)
        valid = Signal()
        tag = Signal(
            data.StructLayout({"row": ROW_BITS, "column": column.shape(), "last": 1}),
            reset_less=True,
        )
        with m.If(en):
            m.d.sync += [
                acc.eq(self.accs.payload[column][row]),
                scale.eq(self.row_scales.payload[row]),
                valid.eq(step & (here <= last_row)),
                tag.row.eq(here),
                tag.column.eq(column),
                tag.last.eq((here == last_row) & (column == end)),
            ]
        m.d.comb += [
            to_fp.i.eq(acc),
            to_fp.exponent.eq(0),
            mul.a.eq(to_fp.o),
            mul.b.eq(delayed(m, scale, IntToFp.LATENCY, en=en, reset_less=True)),
        ]
        depth = IntToFp.LATENCY + FpMul.LATENCY
        valids = [valid]
        for _ in range(depth):
            valids.append(delayed(m, valids[-1], 1, en=en))
        tag = delayed(m, tag, depth, en=en, reset_less=True)

        self.shift(m, en, out, mul.o, top[tag.column], valids[-1], tag)

        m.d.comb += self.command.ready.eq(~active & ~Cat(valids).any() & ~self.o.valid)
        with m.If(self.command.valid & self.command.ready):
            first = Mux(self.command.p.single, self.command.p.column, 0)
            m.d.sync += [
                active.eq(1),
                last_row.eq(self.command.p.rows - 1),
                pads.eq(Mux(self.command.p.sparse, STRIPE - 1, TILES - 1)),
                top.eq(self.top),
                start.eq(first),
                end.eq(self.command.p.column),
                column.eq(first),
                row.eq(0),
                part.eq(0),
            ]

        return m

    def shift(self, m, en, out, product, top, valid, tag):
        """Multiply a product, once it is rounded and flushed, by the column's power of two."""
        exponent = Signal(signed(10))
        empty = Signal()
        full = Signal()
        m.d.comb += [
            exponent.eq(product[23:31] + top - BIAS),
            empty.eq((product[23:31] == 0) | (exponent <= 0)),
            full.eq(exponent >= 0xFF),
        ]
        with m.If(en):
            m.d.sync += [
                out.valid.eq(valid),
                out.p.row.eq(tag.row),
                out.p.column.eq(tag.column),
                out.p.last.eq(tag.last),
                out.p.value.eq(Cat(product[:23], exponent[:8], product[31])),
            ]
            with m.If(empty):
                m.d.sync += out.p.value[:31].eq(0)
            with m.Elif(full):
                m.d.sync += out.p.value[:31].eq(MAX)
