"""Embedding look-up."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..spec.config import GROUP, Config
from ..spec.limits import ACC_BITS, ROW_BITS
from ..spec.numbers import TILES
from ..spec.payloads import WeightStep


__all__ = ["Embedder"]


HALF = GROUP // 2  # elements that an S8 beat has of each row


class Embedder(wiring.Component):
    """Pick one row out of a block of weights, as if it were the sums of a matrix product.

    The row's integers, code * scale, leave in tiles of N sums, each with the row's own scale, N
    times: to the row scaler they are a matrix with a row per element and a single column, the
    first.

    The other rows of the block pass at a beat per cycle, a beat of the picked row gives 16 / N
    tiles. Latency is two cycles. Backpressure is respected.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
        Its `rows` (N) and `columns` (M) are used.

    Members
    -------
    command : :py:`In(stream.Signature(ROW_BITS))`
        Row of the matrix to pick; its place in the block is the row modulo `config.block_rows`.
        Ready when the block before has passed.
    weights : :py:`In(stream.Signature(WeightStep(config)))`
        Beats of one block, format S8.
    row_scales : :py:`In(stream.Signature(data.ArrayLayout(32, N)))`
        fp32 scales of the block's rows, a payload per tile. Those of the picked tile must not wait
        for its weights.
    accs : :py:`Out(stream.Signature(data.ArrayLayout(data.ArrayLayout(signed(52), N), M)))`
        Integers of N consecutive elements, in the first column. The other columns are zero.
    scales : :py:`Out(stream.Signature(data.ArrayLayout(32, N)))`
        The row's scale, N times. A payload for each of `accs`.
    """

    def __init__(self, config):
        if not isinstance(config, Config):
            raise TypeError(f"Configuration must be a Config, not {config!r}")
        self.config = config
        n, m = config.rows, config.columns
        super().__init__(
            {
                "command": In(stream.Signature(ROW_BITS)),
                "weights": In(stream.Signature(WeightStep(config))),
                "row_scales": In(stream.Signature(data.ArrayLayout(32, n))),
                "accs": Out(
                    stream.Signature(data.ArrayLayout(data.ArrayLayout(signed(ACC_BITS), n), m))
                ),
                "scales": Out(stream.Signature(data.ArrayLayout(32, n))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        n = self.config.rows
        row_bits, tile_bits = (n - 1).bit_length(), (TILES - 1).bit_length()

        row = Signal(row_bits, reset_less=True)  # the picked row's place in its tile
        pick = Signal(tile_bits, reset_less=True)  # and that tile's in the block

        # The tiles of weights and of row scales that passed are counted apart.
        weight_tile = Signal(range(TILES + 1), init=TILES)
        scale_tile = Signal(range(TILES + 1), init=TILES)
        scale = Signal(32, reset_less=True)
        codes = Signal(data.ArrayLayout(signed(8), HALF), reset_less=True)
        factor = Signal(8, reset_less=True)
        chunks = Signal(range(HALF // n + 1))  # of N `codes` that are left
        picked = Signal()
        m.d.comb += [
            self.command.ready.eq(
                (weight_tile == TILES)
                & (scale_tile == TILES)
                & (chunks == 0)
                & ~self.accs.valid
                & ~self.scales.valid
            ),
            self.row_scales.ready.eq(scale_tile != TILES),
            picked.eq(weight_tile == pick),
            self.weights.ready.eq((weight_tile != TILES) & (~picked | (chunks == 0))),
        ]
        with m.If(self.row_scales.valid & self.row_scales.ready):
            m.d.sync += scale_tile.eq(scale_tile + 1)
            with m.If(scale_tile == pick):
                m.d.sync += scale.eq(self.row_scales.payload[row])

        # The row scale is the last factor: products need it in place before they leave.
        move = Signal()
        m.d.comb += move.eq(
            (chunks != 0)
            & (scale_tile > pick)
            & (self.accs.ready | ~self.accs.valid)
            & (self.scales.ready | ~self.scales.valid)
        )
        with m.If(self.accs.ready):
            m.d.sync += self.accs.valid.eq(0)
        with m.If(self.scales.ready):
            m.d.sync += self.scales.valid.eq(0)
        with m.If(move):
            m.d.sync += [
                self.accs.valid.eq(1),
                self.scales.valid.eq(1),
                chunks.eq(chunks - 1),
                codes.as_value().eq(codes.as_value() >> 8 * n),
            ]
            for k in range(n):
                m.d.sync += self.accs.p[0][k].eq(codes[k] * factor)
        with m.If(self.weights.valid & self.weights.ready):
            with m.If(picked):
                m.d.sync += [
                    codes.as_value().eq(self.weights.p.codes.word_select(row, 8 * HALF)),
                    factor.eq(self.weights.p.scale[row]),
                    chunks.eq(HALF // n),
                ]
            with m.If(self.weights.p.last):
                m.d.sync += weight_tile.eq(weight_tile + 1)

        m.d.comb += [self.scales.payload[k].eq(scale) for k in range(n)]

        with m.If(self.command.valid & self.command.ready):
            m.d.sync += [
                row.eq(self.command.payload),
                pick.eq(self.command.payload >> row_bits),
                weight_tile.eq(0),
                scale_tile.eq(0),
            ]

        return m
