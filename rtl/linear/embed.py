"""Embedding look-up."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..cores.among import among
from ..cores.core import SIX
from ..spec.config import GROUP, Config
from ..spec.formats import FORMATS
from ..spec.isa import WeightFormat
from ..spec.limits import ACC_BITS, ROW_BITS
from ..spec.numbers import UNIT_WORDS
from ..spec.payloads import WeightStep


__all__ = ["EMBED_COMMAND", "Embedder"]


HALF = GROUP // 2
U4 = WeightFormat.U4

# `centre`: left shift of the centres.
EMBED_COMMAND = data.StructLayout({"row": ROW_BITS, "centre": 3})


class Embedder(wiring.Component):
    """Pick one row out of 16 rows of weights, as if it were the sums of a matrix product.

    The row's integers, code * scale + centre, leave in tiles of N sums, each with the row's own
    scale, N times: to the row scaler they are a matrix with a row per element and a single column,
    the first.

    The other rows pass at a step per cycle; a step of the picked row is held, and gives N elements
    a cycle.
    Latency is two cycles. Backpressure is respected.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
        Its `rows` (N) and `columns` (M) are used, and its `formats` that embeddings may be in
        (:attr:`~rtl.spec.formats.Format.embeds`).

    Members
    -------
    command : :py:`In(stream.Signature(EMBED_COMMAND))`
        Row of the matrix to pick; its place among the 16 is the row modulo 16. Ready when those
        before have passed.
    weights : :py:`In(stream.Signature(WeightStep(config)))`
        Steps of 16 rows.
    row_scales : :py:`In(stream.Signature(data.ArrayLayout(32, N)))`
        fp32 scales of the rows, a payload per tile. Those of the picked tile must not wait for its
        weights.
    accs : :py:`Out(stream.Signature(data.ArrayLayout(data.ArrayLayout(signed(53), N), M)))`
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
                "command": In(stream.Signature(EMBED_COMMAND)),
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
        n, tiles = self.config.rows, UNIT_WORDS // self.config.rows
        row_bits, tile_bits = (n - 1).bit_length(), (tiles - 1).bit_length()

        row = Signal(row_bits, reset_less=True)  # the picked row's place in its tile
        pick = Signal(tile_bits, reset_less=True)  # and that tile's among the 16 rows'
        shift = Signal(3, reset_less=True)  # of centres

        # The tiles of weights and of row scales that passed are counted apart.
        weight_tile = Signal(range(tiles + 1), init=tiles)
        scale_tile = Signal(range(tiles + 1), init=tiles)
        scale = Signal(32, reset_less=True)
        codes = Signal(data.ArrayLayout(signed(8), n), reset_less=True)
        factor = Signal(signed(9), reset_less=True)
        offset = Signal(signed(15), reset_less=True)
        loaded = Signal()  # `codes` wait to be multiplied
        chunk = Signal(range(GROUP // n))  # of N elements of the step in front
        upper = chunk[(HALF // n - 1).bit_length()]  # elements 16 to 31
        picked, ends, load, move = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            self.command.ready.eq(
                (weight_tile == tiles)
                & (scale_tile == tiles)
                & ~loaded
                & ~self.accs.valid
                & ~self.scales.valid
            ),
            self.row_scales.ready.eq(scale_tile != tiles),
            picked.eq(weight_tile == pick),
            ends.eq(
                chunk[: (HALF // n - 1).bit_length()].all() & (upper | ~self._whole(self.weights.p))
            ),
            load.eq(self.weights.valid & picked & (weight_tile != tiles) & (~loaded | move)),
            self.weights.ready.eq((weight_tile != tiles) & (~picked | load & ends)),
        ]
        with m.If(self.row_scales.valid & self.row_scales.ready):
            m.d.sync += scale_tile.eq(scale_tile + 1)
            with m.If(scale_tile == pick):
                m.d.sync += scale.eq(self.row_scales.payload[row])

        # The row scale is the last factor: products need it in place before they leave.
        m.d.comb += move.eq(
            loaded
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
                loaded.eq(0),
            ]
            for k in range(n):
                m.d.sync += self.accs.p[0][k].eq(codes[k] * factor + offset)
        with m.If(load):
            m.d.sync += [
                codes.as_value().eq(self._elements(m, row, chunk, upper)),
                loaded.eq(1),
                chunk.eq(Mux(ends, 0, chunk + 1)),
            ]
            m.d.sync += self._scales(row, upper, shift, factor, offset)
        with m.If(self.weights.valid & self.weights.ready & self.weights.p.last):
            m.d.sync += weight_tile.eq(weight_tile + 1)

        m.d.comb += [self.scales.payload[k].eq(scale) for k in range(n)]

        with m.If(self.command.valid & self.command.ready):
            m.d.sync += [
                row.eq(self.command.p.row),
                pick.eq(self.command.p.row >> row_bits),
                shift.eq(self.command.p.centre),
                weight_tile.eq(0),
                scale_tile.eq(0),
            ]

        return m

    def _of(self, step, chosen):
        """Whether the step is of one of the configuration's formats that a function chooses."""
        formats = self.config.embed_formats
        return among(step.format, [f for f in formats if chosen(FORMATS[f])])

    def _whole(self, step):
        """Whether the step has all 32 elements of a group."""
        return self._of(step, lambda its: its.step_format == its.fmt and its.elements == GROUP)

    def _elements(self, m, row, chunk, upper):
        """Integers of N elements of the picked row, 8 bits each."""
        step, values, n = self.weights.p, [], self.config.rows
        place = chunk[: (HALF // n - 1).bit_length()]
        codes = step.codes.word_select(row, 8 * HALF).word_select(place, 8 * n)
        high = None
        if self.config.high_bits:
            high = step.high.word_select(row, 2 * GROUP).word_select(chunk, 2 * n)
        for k in range(n):
            byte = codes.word_select(k, 8)
            nibble = Mux(upper, byte[4:], byte[:4])
            value = Signal(signed(8), name=f"value_{k}")
            m.d.comb += value.eq(byte)
            if U4 in self.config.weight_formats:
                with m.If(step.format == U4):
                    m.d.comb += value.eq(Cat(1, nibble[:3], ~nibble[3]).as_signed())
            if high is not None:
                with m.If(among(step.format, SIX & set(self.config.weight_formats))):
                    m.d.comb += value.eq(Cat(nibble, high.word_select(k, 2)).as_signed())
            values.append(value)
        return Cat(values)

    def _scales(self, row, upper, shift, factor, offset):
        """What the integers are multiplied with, and what is added."""
        step = self.weights.p
        scale, second = step.scale[row], step.centre[row]
        halved = self._of(step, lambda its: its.group < GROUP)
        return [
            factor.eq(Mux(upper & halved, second, scale)),
            offset.eq(Mux(self._of(step, lambda its: its.centred), second << shift, 0)),
        ]
