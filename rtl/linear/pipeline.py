"""From packed weights and quantized activations to exact sums of rows."""

from amaranth import *
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from .. import cores
from ..bus.delay import delayed
from ..bus.skid import SkidBuffer
from ..cores.among import among
from ..spec.config import Config
from ..spec.formats import FORMATS, SPARSE
from ..spec.isa import WeightFormat
from ..spec.limits import ACC_BITS, CENTRE_BITS, GROUP_BITS, ROW_BITS
from ..spec.numbers import GROUP
from ..spec.payloads import ActivationWrite, WeightStep
from ..spec.sparse_modes import SLOTS, Mode
from .activations import ActivationBuffer
from .expand import Expander
from .fifths import PART, FifthSums
from .group_scale import GroupScaler
from .parts import StepParts
from .slices import WIDEST
from .trits import TRITS
from .unpack import UNPACK_COMMAND, WeightUnpacker


__all__ = ["LINEAR_COMMAND", "LinearPipeline"]


STORED = [mode for mode in Mode if SLOTS[mode]]  # modes that code beats may have

LINEAR_COMMAND = data.StructLayout(
    {
        "rows": ROW_BITS,
        "groups": GROUP_BITS,
        "act": GROUP_BITS,  # first group in the activation buffer
        "embed": 1,  # hand the steps out rather than multiply them
        "format": WeightFormat,  # of these
    }
)


class LinearPipeline(wiring.Component):
    """Multiply packed matrices with the activation buffer, exactly: unpacker, core and scaler.

    Steps that the core does not take whole are cut up on the way to it
    (:class:`~.expand.Expander`); some that it takes give several payloads of sums.

    The elements of TERNARY's fifth steps, which have no beats, are added up beside the core as they
    come along with the other steps (:class:`~.fifths.FifthSums`).

    Throughput is one beat per cycle where the core keeps up; between two matrices the unpacker runs
    dry for a cycle, for the beats of a descriptor, and for those that the expander takes.
    Backpressure is respected. Sums
    follow a tile's last beat by :attr:`latency` cycles, those of its later slices a cycle after
    each other; those of ternary matrices take a few more.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
        Accelerator.

    Attributes
    ----------
    latency : :class:`int`
        Cycles from a tile's last beat to its first sums, when nothing is in the way.

    Members
    -------
    command : :py:`In(stream.Signature(LINEAR_COMMAND))`
        Starts a matrix, or, with `embed`, a block of rows for `embed`. Taken together with the last
        beat of the matrix' descriptor.
    beats : :py:`In(stream.Signature(config.beat_bits))`
        Packed matrices, as they lie in DRAM.
    write : :py:`In(stream.Signature(ActivationWrite(config)))`
        To the activation buffer: see :class:`~.activations.ActivationBuffer`.
    accs : :py:`Out(stream.Signature(ArrayLayout(ArrayLayout(signed(53), rows), columns)))`
        Sums of each slice of `config.rows` rows, by column and row.
    row_scales : :py:`Out(stream.Signature(data.ArrayLayout(32, config.rows)))`
        fp32 scales of each slice of rows, including those of `embed` blocks.
    embed : :py:`Out(stream.Signature(WeightStep(config)))`
        Steps of `embed` blocks.
    top : :py:`Out(data.ArrayLayout(8, config.columns))`
        Largest biased exponent of each column's activation vector.
    format : :py:`Out(WeightFormat)`
        Of the command that is taken in this cycle.
    fault, fault_info, starved : :py:`Out(1), Out(32), Out(1)`
        See :class:`~.unpack.WeightUnpacker`.
    """

    def __init__(self, config):
        if not isinstance(config, Config):
            raise TypeError(f"Configuration must be a Config, not {config!r}")
        self.config = config
        self.core = cores.create(config)
        self.scaler = GroupScaler(config, self.core.native)
        self.expander = Expander(config, self.core.native)
        # Unpacker, expander, parts, activation buffer, core, scaler.
        self.latency = (
            1
            + self.expander.latency
            + (config.parts - 1)
            + 2
            + self.core.latency
            + self.scaler.latency
        )
        super().__init__(
            {
                "command": In(stream.Signature(LINEAR_COMMAND)),
                "beats": In(stream.Signature(config.beat_bits)),
                "write": In(stream.Signature(ActivationWrite(config))),
                "accs": Out(
                    stream.Signature(
                        data.ArrayLayout(
                            data.ArrayLayout(signed(ACC_BITS), config.rows), config.columns
                        )
                    )
                ),
                "row_scales": Out(stream.Signature(data.ArrayLayout(32, config.rows))),
                "embed": Out(stream.Signature(WeightStep(config))),
                "top": Out(data.ArrayLayout(8, config.columns)),
                "format": Out(WeightFormat),
                "fault": Out(1),
                "fault_info": Out(32),
                "starved": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config

        m.submodules.unpacker = unpacker = WeightUnpacker(config)
        m.submodules.expander = expander = self.expander
        m.submodules.parts = parts = StepParts(config, self.core.native)
        m.submodules.core = core = self.core
        m.submodules.buffer = buffer = ActivationBuffer(config, core.inputs, core.act_elements)
        m.submodules.scaler = scaler = self.scaler
        wiring.connect(m, wiring.flipped(self.beats), unpacker.beats)
        wiring.connect(m, wiring.flipped(self.write), buffer.write)
        steps = unpacker.o
        if config.parts == 1:
            # Skid buffer: breaks the `ready` path from the core to the unpacker.
            m.submodules.skid = skid = SkidBuffer(WeightStep(config))
            wiring.connect(m, steps, skid.i)
            steps = skid.o
        wiring.connect(m, steps, expander.i)
        wiring.connect(m, unpacker.row_scales, wiring.flipped(self.row_scales))
        wiring.connect(m, scaler.o, wiring.flipped(self.accs))
        m.d.comb += [
            self.top.eq(buffer.top),
            self.format.eq(unpacker.format),
            self.fault.eq(unpacker.fault),
            self.fault_info.eq(unpacker.fault_info),
            self.starved.eq(unpacker.starved),
        ]

        # What is held from a command belongs to the steps up to here, the last one included.
        centre = Signal(CENTRE_BITS, reset_less=True)
        act = Signal(GROUP_BITS, reset_less=True)
        embed = Signal()
        idle, command = Signal(), self.command.p
        m.d.comb += [
            idle.eq(~steps.valid & ~expander.busy & ~parts.busy),
            self.command.ready.eq(unpacker.command.ready & idle),
            unpacker.command.valid.eq(self.command.valid & idle),
            *(unpacker.command.p[name].eq(command[name]) for name, _ in UNPACK_COMMAND),
        ]
        with m.If(self.command.valid & self.command.ready):
            m.d.sync += [centre.eq(unpacker.centre), act.eq(command.act), embed.eq(command.embed)]

        # A step waits here for its activations. There are never more than two, the buffer's
        # registers, and a third that comes as the first leaves: `w_rdy` is always high.
        step, log, whole = parts.o.p, self._log_slices(m, parts.o.p), core.native & SPARSE
        halves = [fmt for fmt in core.native if FORMATS[fmt].elements < GROUP]
        past_layout = data.StructLayout(
            {
                "scale": step.shape()["scale"].shape,
                "centre": step.shape()["centre"].shape,
                "centre_shift": CENTRE_BITS,
                "halved": int(config.halved),
                "first": 1,
                "last": 1,
                "slice": scaler.i.p.shape()["slice"].shape,  # first of the step's
                "log": len(log),
            }
        )  # log2 of how many it has
        trits = 2 * PART * self.scaler.fifth_rows
        waiting_layout = data.StructLayout(
            {"weights": core.weights.p.shape(), "past": past_layout, "trits": trits}
        )
        m.submodules.waiting = waiting = fifo.SyncFIFO(width=waiting_layout.size, depth=4)
        back = data.View(waiting_layout, waiting.w_data)
        self._read_fifth(m, buffer.read.p, step, act, back)
        m.d.comb += [
            self.embed.p.eq(expander.o.p),
            self.embed.valid.eq(expander.o.valid & embed),
            parts.i.p.eq(expander.o.p),
            parts.i.valid.eq(expander.o.valid & ~embed),
            expander.o.ready.eq(Mux(embed, self.embed.ready, parts.i.ready)),
            parts.o.ready.eq(buffer.read.ready),
            buffer.read.valid.eq(parts.o.valid),
            buffer.read.p.part.eq(step.part),
            buffer.read.p.group.eq(step.group + act),
            buffer.read.p.half.eq(step.half),
            buffer.read.p.split.eq(among(step.format, halves)),
            waiting.w_en.eq(buffer.read.valid & buffer.read.ready),
            back.past.centre_shift.eq(centre),
            back.past.halved.eq(
                among(step.format, [f for f in config.weight_formats if FORMATS[f].group < GROUP])
            ),
            # A code beat has no number among slices, and parts of it none among beats: one is zero.
            back.past.slice.eq(step.sub | step.beat << log if whole else step.sub),
            back.past.log.eq(log),
        ]
        m.d.comb += [back.weights[name].eq(step[name]) for name, _ in core.weights.p.shape()]
        m.d.comb += [
            back.past[name].eq(step[name]) for name in ("scale", "centre", "first", "last")
        ]

        # Scales of a step bypass the core, in a FIFO as deep as the core's capacity.
        front = data.View(waiting_layout, waiting.r_data)
        sums_layout = data.StructLayout(
            {
                "past": past_layout,
                "act_sums": buffer.o.p.sums.shape(),
                "shift": buffer.o.p.shift.shape(),
                **({"fifth_shift": buffer.o.p.fifth_shift.shape()} if config.aside else {}),
            }
        )
        m.submodules.past = past = fifo.SyncFIFO(width=sums_layout.size, depth=core.capacity)
        ready, take = Signal(), Signal()
        m.d.comb += [
            # The step that the activations belong to is waiting in the FIFO.
            ready.eq(buffer.o.valid),
            core.weights.p.eq(front.weights),
            core.weights.valid.eq(ready),
            core.acts.p.as_value().eq(buffer.o.p.tables.as_value()),
            core.acts.valid.eq(ready),
            take.eq(ready & core.weights.ready & core.acts.ready),
            waiting.r_en.eq(take),
            buffer.o.ready.eq(take),
            past.w_en.eq(
                take & (front.weights.part == config.parts - 1 if config.parts > 1 else 1)
            ),
            past.w_data.eq(
                Cat(
                    front.past,
                    buffer.o.p.sums,
                    buffer.o.p.shift,
                    buffer.o.p.fifth_shift if config.aside else C(0, 0),
                )
            ),
        ]

        # Every step that left for the core has its entry in the FIFO, until the last of its sums
        # are taken. First ones may be here before the core is through with their step.
        entry = data.View(sums_layout, past.r_data)
        part, more, give = (
            Signal(2),
            Signal(2),
            Signal(),
        )  # payloads of the step: taken, after the first
        m.d.comb += [
            more.eq(Cat(entry.past.log > 2, entry.past.log > 3)),
            give.eq(scaler.i.valid & scaler.i.ready),
            scaler.i.valid.eq(core.sums.valid & past.r_rdy),
            core.sums.ready.eq(scaler.i.ready & past.r_rdy),
            past.r_en.eq(give & (part == more)),
            scaler.i.p.sums.eq(core.sums.p),
            scaler.i.p.act_sums.eq(entry.act_sums),
            scaler.i.p.shift.eq(entry.shift),
            scaler.i.p.slice.eq(entry.past.slice + WIDEST * part),
            scaler.i.p.span.eq(Mux(more[0], 2, entry.past.log)),
        ]
        m.d.comb += [
            scaler.i.p[name].eq(entry.past[name])
            for name in ("scale", "centre", "centre_shift", "halved", "first", "last")
        ]
        with m.If(give):
            m.d.sync += part.eq(Mux(part == more, 0, part + 1))
        self._fifths(m, front, buffer.o.p, take, past.r_en, entry)
        assert WIDEST == 4

        return m

    def _read_fifth(self, m, read, step, act, back):
        """Read what a step carries of the fifth one, whose trits wait with it."""
        if self.config.aside:
            m.d.comb += [
                read.fifth.eq(step.fifth),
                read.place.eq(step.place),
                read.fifth_group.eq(step.group + act + (TRITS - step.place)),
                back.trits.eq(step.trits[: len(back.trits)]),
            ]

    def _fifths(self, m, front, acts, take, give, entry):
        """Add up what steps carry of the fifth one, beside the core, and give it to the scaler with
        the sums that the core gives."""
        if not self.config.aside:
            return
        m.submodules.fifths = fifths = FifthSums(self.config, self.scaler.fifth_rows)
        assert fifths.LATENCY < self.core.latency
        sums = Value.cast(fifths.sums)
        m.submodules.fifth_sums = queue = fifo.SyncFIFO(width=len(sums), depth=self.core.capacity)
        m.d.comb += [
            Value.cast(fifths.trits).eq(front.trits),
            Value.cast(fifths.acts).eq(Value.cast(acts.fifth)),
            queue.w_en.eq(delayed(m, take, fifths.LATENCY)),
            queue.w_data.eq(sums),
            queue.r_en.eq(give),
            self.scaler.i.p.fifth.as_value().eq(queue.r_data),
            self.scaler.i.p.fifth_shift.eq(entry.fifth_shift),
        ]

    def _log_slices(self, m, step):
        """Logarithm of the slices of rows that a step has on its way into the core."""
        core, logs = self.core, {}
        for fmt in (f for f in self.config.weight_formats if f in core.native):
            its = FORMATS[fmt]
            for mode in STORED if its.sparse else (None,):
                logs[fmt, mode] = (its.step_slices(mode) - 1).bit_length()
                assert core.outputs(fmt, mode) == -(-its.step_slices(mode) // WIDEST)
        log = Signal(range(max(logs.values()) + 1))
        if len(log):
            with m.Switch(Cat(step.format, step.mode)):
                for (fmt, mode), value in logs.items():
                    any_mode = "-" * len(step.mode)
                    with m.Case(
                        (any_mode if mode is None else f"{mode:0{len(step.mode)}b}")
                        + f"{fmt.value:0{len(Value.cast(step.format))}b}"
                    ):
                        m.d.comb += log.eq(value)
        return log
