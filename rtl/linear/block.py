"""Walk over the steps of a block of rows."""

from functools import reduce
from operator import or_

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..spec.config import Config
from ..spec.formats import FORMATS
from ..spec.isa import WeightFormat
from ..spec.limits import GROUP_BITS
from ..spec.numbers import TILES


__all__ = ["BlockStep", "BlockWalker", "among"]


U3 = WeightFormat.U3


def BlockStep(config):
    """A step of a block of rows, and what belongs to it."""
    return data.StructLayout(
        {
            "codes": config.beat_bits,
            "scale": data.ArrayLayout(8, config.scaled_rows),
            "centre": data.ArrayLayout(signed(8), config.scaled_rows),
            "group": GROUP_BITS,
            "half": 1,
            "first": 1,
            "last": 1,
            "spare": 1,  # there is no beat for it
            "end": 1,
        }
    )  # the block's last step


def among(fmt, formats):
    """Value of "`fmt` is one of `formats`"."""
    # In a fixed order, unlike a set's: builds are reused while the Verilog stays the same.
    return reduce(or_, (fmt == f for f in sorted(formats, key=lambda f: f.value)), C(0, 1))


class BlockWalker(wiring.Component):
    """Find the steps of a block of rows, with their scales, between its scale beats.

    A step passes in the same cycle as its beat: the unit that takes the beats takes `o` for it.
    Throughput is one beat and one step per cycle: a step for which there is no beat, as bits of it
    came with the beats before, costs a cycle in which no beat is taken, unless a scale beat is due
    next. Backpressure is respected.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
        Accelerator. Of its formats, the sparse ones are for
        :class:`~.stripe.StripeWalker`.

    Members
    -------
    format : :py:`In(WeightFormat)`
        Format of the block.
    last_group : :py:`In(GROUP_BITS)`
        Groups of columns, less one.
    start : :py:`In(1)`
        The next beat is the first of a block, after its row scales.
    beats : :py:`In(stream.Signature(config.beat_bits))`
        Blocks, without their row scales and padding.
    o : :py:`Out(stream.Signature(BlockStep(config)))`
        Steps. In TERNARY `codes` are as they are packed, and those of a step without a beat do not
        matter.
    """

    def __init__(self, config):
        if not isinstance(config, Config):
            raise TypeError(f"Configuration must be a Config, not {config!r}")
        self.config = config
        self.formats = {f: FORMATS[f] for f in config.weight_formats if not FORMATS[f].sparse}
        super().__init__(
            {
                "format": In(WeightFormat),
                "last_group": In(GROUP_BITS),
                "start": In(1),
                "beats": In(stream.Signature(config.beat_bits)),
                "o": Out(stream.Signature(BlockStep(config))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        n, beat_bits, fmt = self.config.rows, self.config.beat_bits, self.format
        dense = [its for its in FORMATS.values() if not its.sparse]

        tile = Signal(range(TILES), reset_less=True)
        group = Signal(GROUP_BITS, reset_less=True)
        half = Signal(reset_less=True)
        run = Signal(range(max(its.scale_run for its in dense)), reset_less=True)
        gear = Signal(range(max(its.gear for its in dense)), reset_less=True)
        due = Signal(reset_less=True)  # the next beat is a scale beat
        pairs = Signal(beat_bits, reset_less=True)  # still needed; those of the step first

        o = self.o.p
        wide, centred, scaled, geared = (
            Signal(name=name) for name in ("wide", "centred", "scaled", "geared")
        )
        group_end, run_end, gear_end = Signal(), Signal(), Signal()
        m.d.comb += [
            wide.eq(
                among(fmt, [f for f, its in self.formats.items() if its.scaled and not its.centred])
            ),
            scaled.eq(self._choose(lambda its: its.scaled)),
            centred.eq(scaled & ~wide),
            geared.eq(self._choose(lambda its: its.gear > 0)),
            group_end.eq(half | self._choose(lambda its: its.steps_per_group == 1)),
            run_end.eq(scaled & (run == self._choose(lambda its: max(its.scale_run - 1, 0)))),
            gear_end.eq(geared & (gear == self._choose(lambda its: max(its.gear - 1, 0)))),
        ]

        step, early = Signal(), Signal()
        m.d.comb += [
            o.spare.eq(gear_end),
            o.last.eq(group_end & (group == self.last_group)),
            o.end.eq(o.last & (tile == self._choose(lambda its: its.tiles - 1))),
            self.o.valid.eq(~due & (o.spare | self.beats.valid)),
            step.eq(self.o.valid & self.o.ready),
            # The scale beat that is next comes together with a step for which there is no beat.
            early.eq(o.spare & run_end & ~o.end),
            self.beats.ready.eq(due | self.o.ready & (~o.spare | early)),
        ]
        with m.If(step):
            m.d.sync += [
                run.eq(run + 1),
                gear.eq(Mux(gear_end | o.last, 0, gear + 1)),
                half.eq(~group_end),
                due.eq(run_end & ~o.end),
            ]
            with m.If(group_end):
                m.d.sync += group.eq(Mux(o.last, 0, group + 1))
                for f, its in self.formats.items():
                    if its.scaled:
                        with m.If(fmt == f):
                            m.d.sync += pairs.eq(pairs >> its.step_rows * n * 8 * len(its.parts))
            with m.If(o.last):
                m.d.sync += tile.eq(tile + 1)
        with m.If(self.beats.valid & self.beats.ready & (due | o.spare)):
            m.d.sync += [pairs.eq(self.beats.payload), run.eq(0), due.eq(0)]
        with m.If(self.start):
            m.d.sync += [tile.eq(0), group.eq(0), half.eq(0), gear.eq(0), due.eq(scaled)]

        m.d.comb += [
            o.codes.eq(self._codes(m, step)),
            o.group.eq(group),
            o.half.eq(half),
            o.first.eq((group == 0) & ~half),
        ]
        for row in range(self.config.scaled_rows):
            scale = Mux(wide, pairs.word_select(row, 8), pairs.word_select(2 * row, 8))
            m.d.comb += [
                o.scale[row].eq(Mux(scaled, scale, 1)),
                o.centre[row].eq(Mux(centred, pairs.word_select(2 * row + 1, 8), 0)),
            ]

        return m

    def _choose(self, of):
        """What function `of` gives for the format in front."""
        values, chosen = {f: of(its) for f, its in self.formats.items()}, C(0)
        for value in sorted(set(values.values())):
            if value:
                chosen = Mux(
                    among(self.format, [f for f in values if values[f] == value]), value, chosen
                )
        return chosen

    def _codes(self, m, step):
        """Codes of the step: the beat, or, in U3, what its run's beats have left over in each lane,
        each a plane of bits."""
        beat = self.beats.payload
        if U3 not in self.formats:
            return beat
        codes = []
        for lane in range(self.config.rows):
            planes = Signal(96, name=f"planes_{lane}", reset_less=True)
            with m.If(step):
                m.d.sync += planes.eq(Cat(planes[32:], beat.word_select(lane, 128)[96:]))
            spare = (self.format == U3) & self.o.p.spare
            codes.append(
                Cat(
                    Mux(spare, planes, beat.word_select(lane, 128)[:96]),
                    beat.word_select(lane, 128)[96:],
                )
            )
        return Cat(codes)
