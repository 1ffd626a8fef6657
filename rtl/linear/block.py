"""Walk over the steps of a block of rows."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..cores.among import among
from ..spec.config import Config
from ..spec.formats import FORMATS
from ..spec.isa import WeightFormat
from ..spec.limits import GROUP_BITS
from ..spec.numbers import GROUP, LANE_BYTES, TILES
from ..spec.payloads import group_scales
from .nibbles import NIBBLES, NibbleDecoder


__all__ = ["BlockStep", "BlockWalker"]


U3 = WeightFormat.U3


def BlockStep(config):
    """A step of a block of rows, and what belongs to it."""
    return data.StructLayout(
        {
            "codes": config.word_bits,
            "high": config.high_bits,
            **group_scales(config),
            "group": GROUP_BITS,
            "half": 1,
            "first": 1,
            "last": 1,
            "spare": 1,  # there is no beat for it
            "end": 1,
        }
    )  # the block's last step


class BlockWalker(wiring.Component):
    """Find the steps of a block of rows, with their scales, between its scale beats.

    A step passes in the same cycle as its beat: the unit that takes the beats takes `o` for it.
    Throughput is one beat and one step per cycle: a step for which there is no beat, as bits of it
    came with the beats before, costs a cycle in which no beat is taken, unless a scale beat is due
    next. So does the first of the two steps that a beat of IQ4 is. Backpressure is respected.

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
    beats : :py:`In(stream.Signature(config.word_bits))`
        Blocks, without their row scales and padding.
    o : :py:`Out(stream.Signature(BlockStep(config)))`
        Steps, as cores take them (:mod:`~rtl.linear.nibbles`). In TERNARY `codes` are as they are
        packed, and those of a step without a beat do not matter.
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
                "beats": In(stream.Signature(config.word_bits)),
                "o": Out(stream.Signature(BlockStep(config))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        n, word_bits, fmt = self.config.rows, self.config.word_bits, self.format
        dense = [its for its in FORMATS.values() if not its.sparse]

        tile = Signal(range(TILES), reset_less=True)
        group = Signal(GROUP_BITS, reset_less=True)
        half = Signal(reset_less=True)
        run = Signal(range(max(its.scale_run for its in dense)), reset_less=True)
        high_run = Signal(2, reset_less=True)
        gear = Signal(range(max(its.gear for its in dense)), reset_less=True)
        due = Signal(reset_less=True)  # the next beat is a scale beat
        high_due = Signal(reset_less=True)  # it is one of high bits, or the one after
        high = Signal(word_bits if self.config.high_bits else 0, reset_less=True)
        pairs = Signal(word_bits, reset_less=True)  # still needed; those of the step first

        o = self.o.p
        scaled, geared, single, signs, high_end = (
            Signal(name=name) for name in ("scaled", "geared", "single", "signs", "high_end")
        )
        group_end, run_end, gear_end, twice = Signal(), Signal(), Signal(), Signal()
        high_bits = self._choose(lambda its: its.high_bits)
        m.d.comb += [
            scaled.eq(self._choose(lambda its: its.scaled)),
            single.eq(self._choose(lambda its: len(its.parts) == 1)),
            signs.eq(self._choose(lambda its: its.signed_scale)),
            geared.eq(self._choose(lambda its: its.gear > 0)),
            group_end.eq(
                half | self._choose(lambda its: FORMATS[its.step_format].elements == GROUP)
            ),
            # The beat comes again for its high nibbles.
            twice.eq(self._choose(lambda its: its.step_format != its.fmt) & ~half),
            run_end.eq(
                scaled & group_end & (run == self._choose(lambda its: max(its.scale_groups, 1) - 1))
            ),
            gear_end.eq(geared & (gear == self._choose(lambda its: max(its.gear - 1, 0)))),
            high_end.eq(
                (high_bits != 0) & (high_run == self._choose(lambda its: max(its.high_run - 1, 0)))
            ),
        ]

        step, early = Signal(), Signal()
        m.d.comb += [
            o.spare.eq(gear_end),
            o.last.eq(group_end & (group == self.last_group)),
            o.end.eq(o.last & (tile == self._choose(lambda its: its.tiles - 1))),
            self.o.valid.eq(~due & ~high_due & (o.spare | self.beats.valid)),
            step.eq(self.o.valid & self.o.ready),
            # The scale beat that is next comes together with a step for which there is no beat.
            early.eq(o.spare & run_end & ~o.end),
            self.beats.ready.eq(due | high_due | self.o.ready & (~o.spare & ~twice | early)),
        ]
        with m.If(step):
            m.d.sync += [
                gear.eq(Mux(gear_end | o.last, 0, gear + 1)),
                half.eq(~group_end),
                due.eq(run_end & ~o.end),
                high_run.eq(Mux(high_end, 0, high_run + 1)),
                high_due.eq(high_end & ~o.end),
            ]
            with m.If(group_end):
                m.d.sync += [group.eq(Mux(o.last, 0, group + 1)), run.eq(run + 1)]
                for f, its in self.formats.items():
                    if its.scaled:
                        with m.If(fmt == f):
                            m.d.sync += pairs.eq(pairs >> its.step_rows * n * 8 * len(its.parts))
            with m.If(o.last):
                m.d.sync += tile.eq(tile + 1)
            m.d.sync += high.eq(self._next_high(high, high_bits))
        with m.If(self.beats.valid & self.beats.ready & (due | o.spare)):
            m.d.sync += [pairs.eq(self.beats.payload), run.eq(0), due.eq(0)]
        with m.If(self.beats.valid & ~due & high_due):
            m.d.sync += [high.eq(self.beats.payload), high_due.eq(0)]
        with m.If(self.start):
            m.d.sync += [
                tile.eq(0),
                group.eq(0),
                half.eq(0),
                gear.eq(0),
                high_run.eq(0),
                due.eq(scaled),
                high_due.eq(high_bits != 0),
            ]

        codes = self._codes(m, step)
        if self.config.has(lambda its: its.name in NIBBLES):
            m.submodules.nibbles = nibbles = NibbleDecoder(self.config)
            m.d.comb += [
                nibbles.format.eq(fmt),
                nibbles.half.eq(half),
                nibbles.nibbles.eq(codes),
                nibbles.high.eq(high),
                o.high.eq(nibbles.step_high),
            ]
            codes = nibbles.codes
        m.d.comb += [
            o.codes.eq(codes),
            o.group.eq(group),
            o.half.eq(half),
            o.first.eq((group == 0) & ~half),
        ]
        for row in range(self.config.scaled_rows):
            scale = Mux(single, pairs.word_select(row, 8), pairs.word_select(2 * row, 8))
            second = pairs.word_select(2 * row + 1, 8)
            sign = second[-1] & ~self._choose(lambda its: its.unsigned_upper)
            m.d.comb += [
                o.scale[row].eq(Mux(scaled, Cat(scale, scale[-1] & signs), 1)),
                o.centre[row].eq(Mux(scaled & ~single, Cat(second, sign).as_signed(), 0)),
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

    def _next_high(self, high, bits):
        """High bits, with those of the next step lowest in each row's 128."""
        rows, sizes = [], {its.high_bits for its in self.formats.values()} - {0}
        for row in range(self.config.rows if sizes else 0):
            own = high.word_select(row, 8 * LANE_BYTES)
            moved = [own >> GROUP * size for size in sorted(sizes)]
            rows.append(moved[0] if len(moved) == 1 else Mux(bits == 1, *moved))
        return Cat(rows)

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
