"""Unpacking of the weight stream."""

from amaranth import *
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from ..config import Config
from ..formats import BEATS_PER_GROUP, SCALE_RUN, TILES
from ..isa import WeightFormat
from ..layouts import WeightBeat


__all__ = ["UNPACK_COMMAND", "WeightUnpacker"]


UNPACK_COMMAND = data.StructLayout({"format": 2, "rows": 20, "groups": 10})

SCALE_BLOCKS = 4  # blocks of row scales that wait for the sums of their tiles


class WeightUnpacker(wiring.Component):
    """Take a packed matrix apart into weight beats with their scales, and row scales.

    Undoes :func:`rtl.formats.pack`. All tiles of the last block come out, padding included; the
    zeros that fill the matrix, or in S8 each block, up to a unit of DRAM are taken and dropped.

    Latency is one cycle from a beat to its payload. Throughput is one input beat per cycle; scale
    beats give no output. A command costs one cycle. Backpressure is respected: `row_scales` holds
    up the weights only when :py:`SCALE_BLOCKS` blocks of them wait already.

    Parameters
    ----------
    config : :class:`~rtl.config.Config`
        Accelerator.

    Members
    -------
    command : :py:`In(stream.Signature(UNPACK_COMMAND))`
        Starts a matrix of at least one row and one group of columns. Taken once the last beat of
        the matrix before is.
    beats : :py:`In(stream.Signature(config.beat_bits))`
        Packed matrices, as they lie in DRAM.
    o : :py:`Out(stream.Signature(WeightBeat(config)))`
        Weight beats. `centre` is zero in S8.
    row_scales : :py:`Out(stream.Signature(data.ArrayLayout(32, config.rows)))`
        fp32 scales of the rows of each tile, in the order of the tiles.
    """
    def __init__(self, config):
        if not isinstance(config, Config):
            raise TypeError(f"Configuration must be a Config, not {config!r}")
        self.config = config
        super().__init__({
            "command":    In(stream.Signature(UNPACK_COMMAND)),
            "beats":      In(stream.Signature(config.beat_bits)),
            "o":          Out(stream.Signature(WeightBeat(config))),
            "row_scales": Out(stream.Signature(data.ArrayLayout(32, config.rows))),
        })

    def elaborate(self, platform):
        m = Module()
        config = self.config

        # Row scales leave tile by tile: the FIFO's head is a whole block.
        m.submodules.scales = scales = fifo.SyncFIFO(width=config.beat_bits, depth=SCALE_BLOCKS)
        scale_tile = Signal(range(TILES))
        m.d.comb += [
            scales.w_data.eq(self.beats.payload),
            self.row_scales.payload.as_value().eq(
                scales.r_data.word_select(scale_tile, config.beat_bits // TILES)),
            self.row_scales.valid.eq(scales.r_rdy),
            scales.r_en.eq(self.row_scales.ready & (scale_tile == TILES - 1)),
        ]
        with m.If(self.row_scales.valid & self.row_scales.ready):
            m.d.sync += scale_tile.eq(scale_tile + 1)

        # Of what the beat in front is part, and where.
        fmt        = Signal(WeightFormat, reset_less=True)
        last_group = Signal(10, reset_less=True)
        blocks     = Signal(20, reset_less=True)                    # still to come after this one
        final      = Signal(reset_less=True)                        # the last block is through
        tile       = Signal(range(TILES), reset_less=True)
        group      = Signal(10, reset_less=True)
        half       = Signal(reset_less=True)
        run        = Signal(range(max(SCALE_RUN.values())), reset_less=True)
        unit       = Signal(range(max(2, config.unit_beats)))       # beats of the last unit taken

        # Bytes of the scale beat that are still needed; those of the group in front come first.
        pairs = Signal(config.beat_bits, reset_less=True)

        out, beat = self.o.payload, self.beats
        free = Signal()
        m.d.comb += free.eq(~self.o.valid | self.o.ready)
        with m.If(free):
            m.d.sync += self.o.valid.eq(0)

        wide = Signal()
        run_end, group_end, tile_end, block_end = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            wide.eq(fmt == WeightFormat.S8),
            run_end.eq(run == Mux(wide, SCALE_RUN[WeightFormat.S8] - 1,
                                  SCALE_RUN[WeightFormat.U4] - 1)),
            group_end.eq(~wide | half),
            tile_end.eq(group_end & (group == last_group)),
            block_end.eq(tile_end & (tile == TILES - 1)),
        ]
        assert BEATS_PER_GROUP == {WeightFormat.U4: 1, WeightFormat.S8: 2}

        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.command.ready.eq(1)
                m.d.sync += [
                    fmt.eq(WeightFormat(self.command.p.format)),
                    last_group.eq(self.command.p.groups - 1),
                    blocks.eq((self.command.p.rows - 1)[:20] >> (config.block_rows - 1).bit_length()),
                    unit.eq(0),
                ]
                with m.If(self.command.valid):
                    m.next = "ROW_SCALES"
            with m.State("ROW_SCALES"):
                m.d.comb += [
                    beat.ready.eq(scales.w_rdy),
                    scales.w_en.eq(beat.valid),
                ]
                m.d.sync += [tile.eq(0), group.eq(0), half.eq(0)]
                with m.If(beat.valid & scales.w_rdy):
                    m.next = "SCALES"
            with m.State("SCALES"):
                m.d.comb += beat.ready.eq(1)
                m.d.sync += [pairs.eq(beat.payload), run.eq(0)]
                with m.If(beat.valid):
                    m.next = "WEIGHTS"
            with m.State("WEIGHTS"):
                m.d.comb += beat.ready.eq(free)
                with m.If(beat.valid & free):
                    m.d.sync += [
                        self.o.valid.eq(1),
                        run.eq(run + 1),
                        half.eq(wide & ~half),
                    ]
                    with m.If(group_end):
                        m.d.sync += [
                            pairs.eq(Mux(wide, pairs >> 8 * config.rows, pairs >> 16 * config.rows)),
                            group.eq(Mux(tile_end, 0, group + 1)),
                        ]
                    with m.If(tile_end):
                        m.d.sync += tile.eq(tile + 1)
                    with m.If(block_end):
                        m.d.sync += blocks.eq(blocks - 1)
                        m.d.sync += final.eq(blocks == 0)
                        m.next = "ROW_SCALES"
                        with m.If(blocks == 0):
                            m.next = "IDLE"
                        with m.If((wide | (blocks == 0)) & (unit != config.unit_beats - 1)):
                            m.next = "PADDING"
                    with m.Elif(run_end):
                        m.next = "SCALES"
            with m.State("PADDING"):
                m.d.comb += beat.ready.eq(1)
                with m.If(beat.valid & (unit == config.unit_beats - 1)):
                    m.next = "ROW_SCALES"
                    with m.If(final):
                        m.next = "IDLE"

        with m.If(beat.valid & beat.ready):
            m.d.sync += unit.eq(Mux(unit == config.unit_beats - 1, 0, unit + 1))

        with m.If(free):
            m.d.sync += [
                out.codes.eq(beat.payload),
                out.format.eq(fmt),
                out.group.eq(group),
                out.half.eq(half),
                out.first.eq((group == 0) & ~half),
                out.last.eq(tile_end),
                out.scale.as_value().eq(Cat(
                    Mux(wide, pairs.word_select(n, 8), pairs.word_select(2 * n, 8))
                    for n in range(config.rows))),
                out.centre.as_value().eq(Cat(
                    Mux(wide, 0, pairs.word_select(2 * n + 1, 8)) for n in range(config.rows))),
            ]

        return m
