"""A table core that takes activations."""

from amaranth import *
from amaranth.lib import wiring

from ..spec.formats import FORMATS
from ..spec.numbers import GROUP
from .core import LinearCore
from .tables import SignTable


__all__ = ["TabledCore"]


class TabledCore(LinearCore):
    """Build the tables of each step's activations in front of a core that looks them up.

    For a core by itself, and to measure what it costs to build tables again for every step. In the
    accelerator they are built once per vector (:class:`~rtl.linear.activations.ActivationBuffer`).

    Latency is one cycle more than the core's. Throughput is the core's; backpressure is respected.

    Parameters
    ----------
    core : component
        Such as :class:`~.lut.LutCore`. It becomes a part of this one.
    """

    def __init__(self, core):
        self.core, self.what = core, core.what
        super().__init__(
            core.config, latency=core.latency + 1, native=core.native, lanes=core.lanes
        )
        self.latency, self.capacity = core.latency + 1, core.capacity + 1

    def outputs(self, fmt, mode=0):
        """Payloads of sums that a step gives."""
        return self.core.outputs(fmt, mode)

    def passes(self, fmt, mode=0):
        """Cycles that a step takes."""
        return self.core.passes(fmt, mode)

    def elaborate(self, platform):
        m = Module()

        m.submodules.core = core = self.core
        wiring.connect(m, core.sums, wiring.flipped(self.sums))
        advance, held = Signal(), Signal()
        m.d.comb += [
            advance.eq(~held | core.weights.ready & core.acts.ready),
            self.weights.ready.eq(advance & self.acts.valid),
            self.acts.ready.eq(advance & self.weights.valid),
            core.weights.valid.eq(held),
            core.acts.valid.eq(held),
        ]
        weights = Signal.like(self.weights.payload, reset_less=True)
        m.d.comb += core.weights.p.eq(weights)
        with m.If(advance):
            m.d.sync += [
                held.eq(self.weights.valid & self.acts.valid),
                weights.eq(self.weights.payload),
            ]

        # The planes 4 to 7 of S8 go with the same activations as the planes 0 to 3.
        halves = sorted(fmt.value for fmt in self.native if FORMATS[fmt].elements < GROUP)
        twice = Value.cast(self.weights.p.format).matches(*halves)
        half = self.elements // 2
        for column, acts in enumerate(self.acts.p):
            for n, tables in enumerate(core.acts.p[column]):
                m.submodules[f"table_{column}_{n}"] = table = SignTable(core.inputs)
                m.d.comb += [table.en.eq(advance), tables.eq(table.o)]
                for k, i in enumerate(table.i, n * core.inputs):
                    m.d.comb += i.eq(Mux(twice, acts[k - half], acts[k]) if k >= half else acts[k])

        return m
