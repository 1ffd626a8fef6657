"""Words of packed weights, from beats."""

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..spec.config import Config


__all__ = ["Gather"]


class Gather(wiring.Component):
    """Gather the beats of a word of packed weights.

    Latency is zero from a word's last beat; throughput is one beat per cycle. Backpressure is
    respected: all beats of a word but the last are taken while the word before waits. Where a beat
    is a word, these are wires.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
        Its `beat_bits` and `word_bits` are used.

    Members
    -------
    i : :py:`In(stream.Signature(config.beat_bits))`
        Beats, the lowest of a word first.
    o : :py:`Out(stream.Signature(config.word_bits))`
        Words.
    """

    def __init__(self, config):
        if not isinstance(config, Config):
            raise TypeError(f"Configuration must be a Config, not {config!r}")
        self.config = config
        super().__init__(
            {
                "i": In(stream.Signature(config.beat_bits)),
                "o": Out(stream.Signature(config.word_bits)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        beat_bits, parts = self.config.beat_bits, self.config.parts

        held = Signal((parts - 1) * beat_bits, reset_less=True)
        at = Signal(range(parts))
        last = Signal()
        m.d.comb += [
            last.eq(at == parts - 1),
            self.o.payload.eq(Cat(held, self.i.payload)),
            self.o.valid.eq(self.i.valid & last),
            self.i.ready.eq(self.o.ready | ~last),
        ]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [held.eq(Cat(held, self.i.payload) >> beat_bits), at.eq(at + 1)]

        return m
