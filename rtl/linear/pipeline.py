"""From packed weights and quantized activations to exact sums of rows."""

from amaranth import *
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from ..config import Config
from ..formats import ACC_BITS
from ..cores.systolic import SystolicCore
from ..layouts import ActivationWrite, WeightBeat
from .activations import ActivationBuffer
from .group_scale import GroupScaler
from .unpack import WeightUnpacker


__all__ = ["LINEAR_COMMAND", "LinearPipeline"]


LINEAR_COMMAND = data.StructLayout({
    "format": 2, "rows": 20, "groups": 10,
    "centre": 3,   # left shift of the group centres
    "act": 10,     # first group in the activation buffer
    "embed": 1})   # hand the beats out rather than multiply them


class LinearPipeline(wiring.Component):
    """Multiply packed matrices with the activation buffer, exactly: unpacker, core and scaler.

    Throughput is one beat per cycle; between two matrices the unpacker runs dry for two cycles.
    Backpressure is respected. Sums follow a tile's last beat by :attr:`latency` cycles.

    Parameters
    ----------
    config : :class:`~rtl.config.Config`
        Accelerator.

    Attributes
    ----------
    latency : :class:`int`
        Cycles from a tile's last beat to its sums, when nothing is in the way.

    Members
    -------
    command : :py:`In(stream.Signature(LINEAR_COMMAND))`
        Starts a matrix, or, with `embed`, a block of rows for `embed`.
    beats : :py:`In(stream.Signature(config.beat_bits))`
        Packed matrices, as they lie in DRAM.
    write : :py:`In(stream.Signature(ActivationWrite(config)))`
        To the activation buffer: see :class:`~.activations.ActivationBuffer`.
    accs : :py:`Out(stream.Signature(data.ArrayLayout(data.ArrayLayout(signed(52), rows), columns)))`
        Sums of each tile of rows, by column and row.
    row_scales : :py:`Out(stream.Signature(data.ArrayLayout(32, config.rows)))`
        fp32 scales of each tile of rows, including those of `embed` blocks.
    embed : :py:`Out(stream.Signature(WeightBeat(config)))`
        Beats of `embed` blocks.
    top : :py:`Out(data.ArrayLayout(8, config.columns))`
        Largest biased exponent of each column's activation vector.
    """
    def __init__(self, config):
        if not isinstance(config, Config):
            raise TypeError(f"Configuration must be a Config, not {config!r}")
        self.config = config
        self.core = SystolicCore(config)
        self.scaler = GroupScaler(config)
        # Unpacker, activation buffer, core, scaler.
        self.latency = 1 + 2 + self.core.latency + self.scaler.latency
        super().__init__({
            "command":    In(stream.Signature(LINEAR_COMMAND)),
            "beats":      In(stream.Signature(config.beat_bits)),
            "write":      In(stream.Signature(ActivationWrite(config))),
            "accs":       Out(stream.Signature(
                data.ArrayLayout(data.ArrayLayout(signed(ACC_BITS), config.rows), config.columns))),
            "row_scales": Out(stream.Signature(data.ArrayLayout(32, config.rows))),
            "embed":      Out(stream.Signature(WeightBeat(config))),
            "top":        Out(data.ArrayLayout(8, config.columns)),
        })

    def elaborate(self, platform):
        m = Module()
        config = self.config

        m.submodules.unpacker = unpacker = WeightUnpacker(config)
        m.submodules.buffer = buffer = ActivationBuffer(config)
        m.submodules.core = core = self.core
        m.submodules.scaler = scaler = self.scaler
        wiring.connect(m, wiring.flipped(self.beats), unpacker.beats)
        wiring.connect(m, wiring.flipped(self.write), buffer.write)
        wiring.connect(m, unpacker.row_scales, wiring.flipped(self.row_scales))
        wiring.connect(m, scaler.o, wiring.flipped(self.accs))
        m.d.comb += self.top.eq(buffer.top)

        # What is held from a command belongs to the beats in the unpacker, the last one included.
        centre = Signal(3, reset_less=True)
        act    = Signal(10, reset_less=True)
        embed  = Signal()
        idle, command = Signal(), self.command.p
        m.d.comb += [
            idle.eq(~unpacker.o.valid),
            self.command.ready.eq(unpacker.command.ready & idle),
            unpacker.command.valid.eq(self.command.valid & idle),
            unpacker.command.p.format.eq(command.format),
            unpacker.command.p.rows.eq(command.rows),
            unpacker.command.p.groups.eq(command.groups),
        ]
        with m.If(self.command.valid & self.command.ready):
            m.d.sync += [centre.eq(command.centre), act.eq(command.act), embed.eq(command.embed)]

        # A beat waits here for its activations. There are never more than two, the buffer's
        # registers, and a third that comes as the first leaves: `w_rdy` is always high.
        waiting_layout = data.StructLayout({"beat": WeightBeat(config), "centre": 3})
        m.submodules.waiting = waiting = fifo.SyncFIFO(width=waiting_layout.size, depth=4)
        beat = unpacker.o.p
        m.d.comb += [
            self.embed.payload.eq(beat),
            self.embed.valid.eq(unpacker.o.valid & embed),
            buffer.read.p.group.eq(beat.group + act),
            buffer.read.p.half.eq(beat.half),
            buffer.read.p.format.eq(beat.format),
            buffer.read.valid.eq(unpacker.o.valid & ~embed),
            waiting.w_data.eq(Cat(beat, centre)),
            waiting.w_en.eq(buffer.read.valid & buffer.read.ready),
            unpacker.o.ready.eq(Mux(embed, self.embed.ready, buffer.read.ready)),
        ]

        # What scales a step's sums goes past the core, in as many places as the core has.
        front = data.View(waiting_layout, waiting.r_data)
        past_layout = data.StructLayout(
            {name: scaler.i.payload.shape()[name].shape
             for name in ("scale", "centre", "act_sums", "shift", "format", "centre_shift", "first",
                          "last")})
        m.submodules.past = past = fifo.SyncFIFO(width=past_layout.size, depth=core.capacity)
        step, take = Signal(), Signal()
        m.d.comb += [
            step.eq(waiting.r_rdy & buffer.o.valid),
            core.weights.p.codes.eq(front.beat.codes),
            core.weights.p.format.eq(front.beat.format),
            core.weights.valid.eq(step),
            core.acts.payload.eq(buffer.o.p.values),
            core.acts.valid.eq(step),
            take.eq(step & core.weights.ready & core.acts.ready),
            waiting.r_en.eq(take),
            buffer.o.ready.eq(take),
            past.w_en.eq(take),
            past.w_data.eq(Cat(front.beat.scale, front.beat.centre, buffer.o.p.sums,
                               buffer.o.p.shift, front.beat.format, front.centre,
                               front.beat.first, front.beat.last)),
        ]

        # Every step in the core has its entry in the FIFO.
        m.d.comb += [
            scaler.i.valid.eq(core.sums.valid),
            core.sums.ready.eq(scaler.i.ready),
            past.r_en.eq(core.sums.valid & scaler.i.ready),
            scaler.i.p.sums.eq(core.sums.payload),
        ]
        past_view = data.View(past_layout, past.r_data)
        m.d.comb += [scaler.i.p[name].eq(past_view[name]) for name in past_layout.members]

        return m
