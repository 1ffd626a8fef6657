"""Unpacking of the weight stream."""

from amaranth import *
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from ..cores.among import among
from ..spec.config import Config
from ..spec.formats import FORMATS, SPARSE
from ..spec.isa import WeightFormat
from ..spec.limits import CENTRE_BITS, GROUP_BITS, ROW_BITS
from ..spec.numbers import TILES
from ..spec.payloads import WeightStep
from ..spec.sparse_modes import BLOCK
from .block import BlockWalker
from .descriptor import DescriptorReader
from .gather import Gather
from .stripe import StripeWalker
from .trits import DecodedStep, TritDecoder, TritStep


__all__ = ["UNPACK_COMMAND", "SCALE_BEATS", "WeightUnpacker"]


# A matrix to come, or, with `embed`, a block of rows in S8 from within one.
# `embed`: rows of `format` from within a matrix, which have no descriptor.
UNPACK_COMMAND = data.StructLayout(
    {"rows": ROW_BITS, "groups": GROUP_BITS, "embed": 1, "format": WeightFormat}
)

STRIPE_BEATS = BLOCK // TILES  # beats of row scales of a stripe


def SCALE_BEATS(config):
    """Beats of row scales that wait for the sums of their rows: four blocks', or two stripes'."""
    return 2 * STRIPE_BEATS if config.sparse else 4


class WeightUnpacker(wiring.Component):
    """Take a packed matrix apart into steps with their scales, and row scales.

    Undoes :func:`rtl.spec.descriptor.described`, in the formats that the configuration has: it
    finds the format and the shift of centres in the descriptor in front of the matrix. A descriptor
    that contradicts the command or the configuration is a fault, after which nothing more is taken
    until reset. All tiles of the last block or stripe come out, padding included; the zeros that
    fill the matrix up to a unit of DRAM are taken and dropped. Steps of TERNARY are decoded, unless
    they come in parts (:mod:`~.part_trits`), and those of nibbles and more bits
    (:class:`~.nibbles.NibbleDecoder`); those of a sparse matrix are its code beats.

    Latency is one cycle from a word to its payload, five in TERNARY. Throughput is one beat per
    cycle, and one step per cycle of words that are there (see :class:`~.gather.Gather`,
    :class:`~.block.BlockWalker` and :class:`~.stripe.StripeWalker`); descriptors and scale, header
    and index words give no output, and, `aside`, fifth steps of TERNARY come along with the others.
    A command costs no cycle beyond its descriptor's beats, or one where it has none; after TERNARY,
    four more. Backpressure is respected: `row_scales` holds up the weights only when
    :func:`SCALE_BEATS` words of it wait already.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
        Accelerator.

    Members
    -------
    command : :py:`In(stream.Signature(UNPACK_COMMAND))`
        Starts a matrix of at least one row and one group of columns. Looked at once the last beat
        of the matrix before is taken, and all its steps but one that is at `o`; taken together with
        the last beat of the descriptor.
    beats : :py:`In(stream.Signature(config.beat_bits))`
        Packed matrices, as they lie in DRAM. Where a word has several, all but the last of the next
        word are taken before it is due.
    o : :py:`Out(stream.Signature(WeightStep(config)))`
        Steps; `sub` is 0. `scale` is 1 and `centre` 0 where the format has none, `mode` and `beat`
        are 0 in what is no code beat. Scales and centres beyond the step's rows do not matter, nor
        do bits 96-127 of the lanes in U3 and index bits beyond the code beat's.
    row_scales : :py:`Out(stream.Signature(data.ArrayLayout(32, config.rows)))`
        fp32 scales of the rows, N at a time.
    format : :py:`Out(WeightFormat)`
        Of the command that is taken in this cycle, and until the next descriptor.
    centre : :py:`Out(CENTRE_BITS)`
        Left shift of the group centres, in bits; likewise.
    fault : :py:`Out(1)`
        The descriptor of the command taken last contradicts. Held until reset, with `fault_info`.
    fault_info : :py:`Out(32)`
        See :func:`rtl.spec.descriptor.fault_info`.
    starved : :py:`Out(1)`
        A word could have been taken in this cycle, but no beat came.
    """

    def __init__(self, config):
        if not isinstance(config, Config):
            raise TypeError(f"Configuration must be a Config, not {config!r}")
        self.config = config
        # Where steps come in parts, those of TERNARY are decoded part by part.
        self.whole_trits = "TERNARY" in config.formats and config.parts == 1
        super().__init__(
            {
                "command": In(stream.Signature(UNPACK_COMMAND)),
                "beats": In(stream.Signature(config.beat_bits)),
                "o": Out(stream.Signature(WeightStep(config))),
                "row_scales": Out(stream.Signature(data.ArrayLayout(32, config.rows))),
                "format": Out(WeightFormat),
                "centre": Out(CENTRE_BITS),
                "fault": Out(1),
                "fault_info": Out(32),
                "starved": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config

        m.submodules.gather = gather = Gather(config)
        wiring.connect(m, wiring.flipped(self.beats), gather.i)
        self._words = word = gather.o
        m.d.comb += self.starved.eq(word.ready & ~self.beats.valid)

        scales = self.keep_scales(m)
        fmt = Signal(WeightFormat, reset_less=True)
        last_group = Signal(GROUP_BITS, reset_less=True)
        blocks = Signal(ROW_BITS, reset_less=True)  # or stripes, after this one
        scale_word = Signal(range(STRIPE_BEATS), reset_less=True)
        unit = Signal(range(max(2, config.unit_words)))  # words of the last unit taken: 0 in IDLE

        descriptor = self._descriptor(m)
        m.submodules.block = block = BlockWalker(config)
        stripe = StripeWalker(config) if config.sparse else None
        free, sparse, end = Signal(), Signal(), Signal()
        m.d.comb += [
            free.eq(~self.o.valid | self.o.ready),
            sparse.eq(among(fmt, SPARSE) if config.sparse else 0),
            block.format.eq(fmt),
            block.last_group.eq(last_group),
            block.beats.payload.eq(word.payload),
            end.eq(block.o.valid & block.o.ready & block.o.p.end),
        ]
        busy = self._outputs(m, fmt, sparse, block.o, stripe, free, end)
        with m.FSM():
            with m.State("IDLE"):
                self._read_descriptor(m, descriptor, busy)
                with m.If(self.command.valid & self.command.ready):
                    m.d.sync += [
                        fmt.eq(self.format),
                        last_group.eq(self.command.p.groups - 1),
                        blocks.eq(self.blocks()),
                        scale_word.eq(0),
                    ]
                    m.next = "ROW_SCALES"
            with m.State("ROW_SCALES"):
                taken = word.valid & scales.w_rdy & ~descriptor.fault
                m.d.comb += [
                    block.start.eq(1),
                    word.ready.eq(scales.w_rdy & ~descriptor.fault),
                    scales.w_en.eq(taken),
                ]
                with m.If(taken):
                    m.d.sync += scale_word.eq(scale_word + 1)
                    with m.If(~sparse | (scale_word == STRIPE_BEATS - 1)):
                        m.next = "STEPS"
            with m.State("STEPS"):
                m.d.comb += [block.beats.valid.eq(word.valid), word.ready.eq(block.beats.ready)]
                if stripe is not None:
                    with m.If(sparse):
                        m.d.comb += [
                            block.beats.valid.eq(0),
                            stripe.beats.valid.eq(word.valid),
                            word.ready.eq(stripe.beats.ready),
                        ]
                with m.If(end):
                    m.d.sync += [blocks.eq(blocks - 1), scale_word.eq(0)]
                    m.next = "ROW_SCALES"
                    # A step without a word may be the last one.
                    full = unit == Mux(block.o.p.spare, 0, config.unit_words - 1)
                    with m.If(blocks == 0):
                        m.next = "PADDING"
                        with m.If(full):
                            m.next = "IDLE"
            with m.State("PADDING"):
                m.d.comb += word.ready.eq(1)
                with m.If(word.valid & (unit == config.unit_words - 1)):
                    m.next = "IDLE"

        with m.If(word.valid & word.ready):
            m.d.sync += unit.eq(Mux(unit == config.unit_words - 1, 0, unit + 1))

        return m

    def _read_descriptor(self, m, descriptor, busy):
        """Take a command together with the last word of its descriptor."""
        command, words = self.command.p, self._words
        due = Signal()
        m.d.comb += [
            due.eq(self.command.valid & ~busy & ~command.embed),
            words.ready.eq(due),
            descriptor.beats.valid.eq(due & words.valid),
            self.command.ready.eq(~busy & (command.embed | words.valid & descriptor.last)),
        ]

    def _descriptor(self, m):
        """The reader of descriptors, and what it says."""
        m.submodules.descriptor = descriptor = DescriptorReader(self.config)
        command = self.command.p
        m.d.comb += [
            descriptor.rows.eq(command.rows),
            descriptor.groups.eq(command.groups),
            descriptor.beats.payload.eq(self._words.payload),
            self.format.eq(Mux(command.embed, command.format, descriptor.format)),
            self.centre.eq(descriptor.centre),
            self.fault.eq(descriptor.fault),
            self.fault_info.eq(descriptor.fault_info),
        ]
        return descriptor

    def keep_scales(self, m):
        """Keep row scales, which leave N at a time. Returns the FIFO, whose head is a whole
        word.
        """
        m.submodules.scales = scales = fifo.SyncFIFO(
            width=self.config.word_bits, depth=SCALE_BEATS(self.config)
        )
        scale_slice = Signal(range(TILES))
        m.d.comb += [
            scales.w_data.eq(self._words.payload),
            self.row_scales.payload.as_value().eq(
                scales.r_data.word_select(scale_slice, self.config.word_bits // TILES)
            ),
            self.row_scales.valid.eq(scales.r_rdy),
            scales.r_en.eq(self.row_scales.ready & (scale_slice == TILES - 1)),
        ]
        with m.If(self.row_scales.valid & self.row_scales.ready):
            m.d.sync += scale_slice.eq(scale_slice + 1)
        return scales

    def blocks(self):
        """Blocks of the command's matrix, or stripes, but one."""
        config, last = self.config, (self.command.p.rows - 1)[:ROW_BITS]
        count = last >> (config.block_rows - 1).bit_length()
        if config.sparse:
            of_stripes = last >> (BLOCK * config.rows - 1).bit_length()
            count = Mux(among(self.format, SPARSE), of_stripes, count)
        return count

    def _outputs(self, m, fmt, sparse, step, stripe, free, end):
        """Send the walkers' payloads to the output. Returns whether the decoder of TERNARY holds
        any.
        """
        self._steps(m, fmt, step, free)
        busy = self._trits(m, fmt, step, free) if self.whole_trits else C(0)
        if stripe is not None:
            m.submodules.stripe = stripe
            self._code_beats(m, stripe.o, free)
            m.d.comb += [
                stripe.wide.eq(among(fmt, [f for f in SPARSE if FORMATS[f].code_bits == 8])),
                stripe.beats.payload.eq(self._words.payload),
            ]
            with m.If(sparse):
                m.d.comb += end.eq(stripe.o.valid & stripe.o.ready & stripe.o.p.end)
        return busy

    def _steps(self, m, fmt, step, free):
        """Steps of a block go straight to the output."""
        m.d.comb += step.ready.eq(free)
        with m.If(free):
            m.d.sync += [
                self.o.valid.eq(step.valid),
                self.o.p.format.eq(self._step_format(fmt)),
                self.o.p.mode.eq(0),
                self.o.p.beat.eq(0),
            ]
            if self.config.aside:
                m.d.sync += self.o.p.fifth.eq(0)
            m.d.sync += [
                self.o.p[name].eq(step.p[name])
                for name in ("codes", "high", "scale", "centre", "group", "half", "first", "last")
            ]
            if len(self.o.p.spare):
                m.d.sync += self.o.p.spare.eq(step.p.spare)

    def _step_format(self, fmt):
        """Format that steps come to the core as."""
        for f in self.config.weight_formats:
            if FORMATS[f].step_format != f:
                fmt = Mux(fmt == f, FORMATS[f].step_format, fmt)
        return fmt

    def _trits(self, m, fmt, step, free):
        """Steps of TERNARY go by the decoder. Returns whether it holds any."""
        m.submodules.trits = trits = TritDecoder(self.config)
        ternary = Signal()
        m.d.comb += [
            ternary.eq(fmt == WeightFormat.TERNARY),
            trits.i.valid.eq(step.valid & ternary),
            trits.o.ready.eq(free),
        ]
        m.d.comb += [trits.i.p[name].eq(step.p[name]) for name, _ in TritStep(self.config)]
        with m.If(ternary):
            m.d.comb += step.ready.eq(trits.i.ready)
            with m.If(free):
                m.d.sync += self.o.valid.eq(trits.o.valid)
                m.d.sync += [
                    self.o.p[name].eq(trits.o.p[name]) for name, _ in DecodedStep(self.config)
                ]
        return trits.busy

    def _code_beats(self, m, step, free):
        """Code beats of a stripe go straight to the output. Their codes are those of a block's."""
        m.d.comb += step.ready.eq(free)
        with m.If(step.valid & free):
            m.d.sync += self.o.valid.eq(1)
            m.d.sync += [
                self.o.p[name].eq(step.p[name])
                for name in ("index", "mode", "beat", "group", "half", "first", "last")
            ]
