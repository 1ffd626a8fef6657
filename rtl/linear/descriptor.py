"""Descriptors of matrices, read and compared with what a MATMUL expects."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..cores.among import among
from ..spec.config import Config
from ..spec.descriptor import INFO_FORMAT_BITS, MAGIC, Contradiction, Descriptor
from ..spec.isa import WeightFormat
from ..spec.limits import CENTRE_BITS, GROUP_BITS, ROW_BITS


__all__ = ["DescriptorReader"]


class DescriptorReader(wiring.Component):
    """Read the :class:`~rtl.spec.descriptor.Descriptor` in front of a matrix.

    Latency is zero cycles to `format` and `centre`, one to `fault`. Throughput is one word per
    cycle.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
        Accelerator.

    Members
    -------
    rows, groups : :py:`In(ROW_BITS), In(GROUP_BITS)`
        What the matrix must have. Sampled with the first word.
    beats : :py:`In(stream.Signature(config.word_bits))`
        Words of descriptors. Always ready.
    last : :py:`Out(1)`
        The next word is the last of a descriptor.
    format, centre : :py:`Out(WeightFormat), Out(CENTRE_BITS)`
        What the descriptor says; from its last word until the next one's first.
    fault : :py:`Out(1)`
        A descriptor contradicts. Held until reset.
    fault_info : :py:`Out(32)`
        Which, see :func:`rtl.spec.descriptor.fault_info`, while `fault` is high.
    """

    def __init__(self, config):
        if not isinstance(config, Config):
            raise TypeError(f"Configuration must be a Config, not {config!r}")
        self.config = config
        super().__init__(
            {
                "rows": In(ROW_BITS),
                "groups": In(GROUP_BITS),
                "beats": In(stream.Signature(config.word_bits)),
                "last": Out(1),
                "format": Out(WeightFormat),
                "centre": Out(CENTRE_BITS),
                "fault": Out(1),
                "fault_info": Out(32),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config, word = self.config, self.beats.payload
        fields = data.View(Descriptor.layout, word[: Descriptor.layout.size])
        size, unit_words = Descriptor.layout.size, config.unit_words

        kept = Signal(Descriptor.layout, reset_less=True)
        at = Signal(range(max(2, unit_words)))
        first = Signal()
        m.d.comb += [
            self.beats.ready.eq(1),
            first.eq(at == 0),
            self.last.eq(at == unit_words - 1),
        ]
        shown = kept if unit_words > 1 else Mux(self.beats.valid, fields.as_value(), kept)
        shown = data.View(Descriptor.layout, Value.cast(shown))
        m.d.comb += [self.format.eq(shown.format), self.centre.eq(shown.centre)]

        # Of the beats so far, at the place of each Contradiction's bit.
        found = Signal(len(Contradiction), reset_less=True)
        here = {
            Contradiction.MAGIC: fields.magic != MAGIC,
            Contradiction.FORMAT: ~among(fields.format, config.weight_formats),
            Contradiction.ROWS: fields.rows != self.rows,
            Contradiction.GROUPS: fields.groups != self.groups,
        }
        spare = word[size:].any() | ~first & word[:size].any()
        wrong = Signal.like(found)
        m.d.comb += [
            wrong.eq(Mux(first, Cat(here[each] for each in here), found) | spare << len(here)),
            self.fault_info.eq(kept.format.as_value() | found << INFO_FORMAT_BITS),
        ]
        assert [*here, Contradiction.RESERVED] == [Contradiction(1 << n) for n in range(len(found))]
        with m.If(self.beats.valid & ~self.fault):
            m.d.sync += [
                at.eq(Mux(self.last, 0, at + 1)),
                found.eq(wrong),
                self.fault.eq(self.last & wrong.any()),
            ]
            with m.If(first):
                m.d.sync += kept.eq(fields)

        return m
