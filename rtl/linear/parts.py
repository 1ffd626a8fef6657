"""Parts of steps, for cores that work on some elements of each row in a cycle."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..cores.among import among
from ..spec.config import Config
from ..spec.formats import FORMATS, SPARSE
from ..spec.numbers import GROUP
from ..spec.payloads import WeightStep
from ..spec.sparse_modes import Mode


__all__ = ["WeightPart", "StepParts"]


HALF = GROUP // 2
PLANES = ("U1", "U2", "U3", "TERNARY")  # formats whose steps are planes of bits


def WeightPart(config):
    """A part of a step: `codes`, `high` and `index` are those of its elements alone."""
    fields = {name: field.shape for name, field in WeightStep(config)}
    for name in ("codes", "high", "index"):
        fields[name] //= config.parts
    return data.StructLayout(fields | {"part": range(config.parts)})


class StepParts(wiring.Component):
    """Hand steps out in parts: of every row, some elements of each half of the group.

    Part p of n has elements p * 16 / n to (p + 1) * 16 / n - 1, and 16 more. Its codes lie as those
    of a step do whose halves have that many elements. Those of nibbles and bytes are pieces of the
    step, those of planes are gathered from all planes.

    Latency is zero, throughput one part per cycle. Where steps have one part, these are wires.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
        Accelerator.
    native : set of :class:`~rtl.spec.isa.WeightFormat`
        Formats that the core takes. TERNARY comes as nibbles, unless it is one of them.

    Members
    -------
    i : :py:`In(stream.Signature(WeightStep(config)))`
        Steps.
    o : :py:`Out(stream.Signature(WeightPart(config)))`
        Parts, in order.
    """

    def __init__(self, config, native):
        if not isinstance(config, Config):
            raise TypeError(f"Configuration must be a Config, not {config!r}")
        self.config = config
        self.planes = [f for f in config.weight_formats if f in native and f.name in PLANES]
        super().__init__(
            {
                "i": In(stream.Signature(WeightStep(config))),
                "o": Out(stream.Signature(WeightPart(config))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        step, parts = self.i.p, self.config.parts

        part = Signal(range(parts))
        last = Signal()
        m.d.comb += [
            last.eq(part == parts - 1),
            self.o.valid.eq(self.i.valid),
            self.i.ready.eq(self.o.ready & last),
        ]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += part.eq(part + 1)

        m.d.comb += [self.o.p[name].eq(step[name]) for name, _ in WeightStep(self.config)]
        if parts > 1:
            m.d.comb += [
                self.o.p.codes.eq(step.codes.word_select(part, self.config.beat_bits)),
                self.o.p.high.eq(self._pieces(step.high, part)),
                self.o.p.part.eq(part),
            ]
            if self.config.sparse:
                m.d.comb += self.o.p.index.eq(self._index(step, part))
            with m.If(among(step.format, self.planes)):
                planes = (step.codes.word_select(n, GROUP) for n in range(4))
                m.d.comb += self.o.p.codes.eq(Cat(self._pieces(plane, part) for plane in planes))

        return m

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
