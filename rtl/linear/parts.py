"""Parts of steps, for cores that work on some elements of each row in a cycle."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..bus.skid import SkidBuffer
from ..cores.among import among
from ..spec.config import Config
from ..spec.formats import FORMATS, SPARSE
from ..spec.isa import WeightFormat
from ..spec.numbers import GROUP
from ..spec.payloads import WeightStep
from ..spec.sparse_modes import Mode
from .part_trits import PartTrits, TritPart


__all__ = ["WeightPart", "StepParts"]


HALF = GROUP // 2
PLANES = ("U1", "U2", "U3")  # formats whose steps are planes of bits


def WeightPart(config):
    """A part of a step: `codes`, `high` and `index` are those of its elements alone."""
    fields = {name: field.shape for name, field in WeightStep(config) if name != "spare"}
    for name in ("codes", "high", "index"):
        fields[name] //= config.parts
    return data.StructLayout(fields | {"part": range(config.parts)})


class StepParts(wiring.Component):
    """Hand steps out in parts: of every row, some elements of each half of the group.

    Part p of n has elements p * 16 / n to (p + 1) * 16 / n - 1, and 16 more. Its codes lie as those
    of a step do whose halves have that many elements. Those of nibbles and bytes are pieces of the
    step, those of planes are gathered from all planes.

    Steps of TERNARY come as they are packed, and are decoded (:class:`~.part_trits.PartTrits`).

    Latency is zero, four in TERNARY; throughput is one part per cycle. Backpressure is respected.
    Where steps have one part, these are wires.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
        Accelerator.
    native : set of :class:`~rtl.spec.isa.WeightFormat`
        Formats that the core takes. TERNARY becomes nibbles, unless it is one of them.

    Members
    -------
    i : :py:`In(stream.Signature(WeightStep(config)))`
        Steps.
    o : :py:`Out(stream.Signature(WeightPart(config)))`
        Parts, in order.
    busy : :py:`Out(1)`
        Holds a part, one on offer included. Low when these are wires.
    """

    def __init__(self, config, native):
        if not isinstance(config, Config):
            raise TypeError(f"Configuration must be a Config, not {config!r}")
        self.config, self.native = config, native
        self.planes = [f for f in config.weight_formats if f in native and f.name in PLANES]
        super().__init__(
            {
                "i": In(stream.Signature(WeightStep(config))),
                "o": Out(stream.Signature(WeightPart(config))),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config, step = self.config, self.i.p
        if config.parts == 1:
            same = [name for name, _ in WeightPart(config) if name != "part"]
            m.d.comb += [self.o.p[name].eq(step[name]) for name in same]
            m.d.comb += [self.o.valid.eq(self.i.valid), self.i.ready.eq(self.o.ready)]
            return m

        # Skid buffer: breaks the `ready` path from the core to the unpacker.
        m.submodules.skid = skid = SkidBuffer(WeightPart(config))
        wiring.connect(m, skid.o, wiring.flipped(self.o))
        out, ternary = skid.i, self._trits(m, skid.i) if len(step.spare) else C(0)

        part = Signal(range(config.parts))
        last = Signal()
        m.d.comb += [
            last.eq(part == config.parts - 1),
            self.busy.eq(self.o.valid | ternary),
        ]
        with m.If(~ternary):
            m.d.comb += [out.valid.eq(self.i.valid), self.i.ready.eq(out.ready & last)]
            with m.If(out.valid & out.ready):
                m.d.sync += part.eq(part + 1)
            m.d.comb += [out.p[name].eq(step[name]) for name in ("group", "first", "last", "sub")]
            m.d.comb += [
                out.p.codes.eq(step.codes.word_select(part, config.beat_bits)),
                out.p.part.eq(part),
            ]
            with m.If(among(step.format, self.planes)):
                planes = (step.codes.word_select(n, GROUP) for n in range(4))
                m.d.comb += out.p.codes.eq(Cat(self._pieces(plane, part) for plane in planes))
        same = "format", "scale", "centre", "half", "mode", "beat"
        m.d.comb += [out.p[name].eq(step[name]) for name in same]
        m.d.comb += out.p.high.eq(self._pieces(step.high, part))
        if config.sparse:
            m.d.comb += out.p.index.eq(self._index(step, part))

        return m

    def _trits(self, m, out):
        """Decode parts of TERNARY. Returns whether there are any: `out` is theirs."""
        m.submodules.trits = trits = PartTrits(self.config, self.native)
        ternary = Signal()
        m.d.comb += [
            ternary.eq(trits.busy | self.i.valid & (self.i.p.format == WeightFormat.TERNARY)),
            trits.i.p.eq(self.i.p),
            trits.i.valid.eq(self.i.valid & ternary),
            trits.o.ready.eq(out.ready),
        ]
        with m.If(ternary):
            m.d.comb += [self.i.ready.eq(trits.i.ready), out.valid.eq(trits.o.valid)]
            m.d.comb += [out.p[name].eq(trits.o.p[name]) for name, _ in TritPart(self.config)]
        return ternary

    def _index(self, step, part):
        """Indices of the part's slots: from the lowest bits of the step's, by their sizes."""
        found = C(0)
        for fmt in SPARSE.intersection(self.config.weight_formats):
            its = FORMATS[fmt]
            for bits in 2, 4:
                piece = step.index.word_select(part, its.lane_slots * bits // self.config.parts)
                is_it = (step.format == fmt) & ((step.mode == Mode.PAIRS) == (bits == 2))
                found = Mux(is_it, piece, found)
        return found

    def _pieces(self, of, part):
        """The part's of what has as many bits for each element: those of both halves."""
        if not len(of):
            return of
        size = len(of) // 2 // self.config.parts
        return Cat(
            half.word_select(part, size) for half in (of[: len(of) // 2], of[len(of) // 2 :])
        )
