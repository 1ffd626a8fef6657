"""A table core that takes activations."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..spec.config import GROUP
from ..spec.isa import WeightFormat
from .tables import SignTable


__all__ = ["TabledCore"]


class TabledCore(wiring.Component):
    """Build the tables of each step's activations in front of a core that looks them up.

    For a core by itself, and to measure what it costs to build tables again for every step. In the
    accelerator they are built once per vector (:class:`~rtl.linear.activations.ActivationBuffer`).

    Latency is one cycle more than the core's. Throughput is the core's; backpressure is respected.

    Parameters
    ----------
    core : component
        Such as :class:`~.lut.LutCore`. It becomes a part of this one.

    Attributes
    ----------
    config, native, lanes
        The core's.
    inputs : :class:`int`
        Activations per table of `acts`: 1, they come as they are.
    latency : :class:`int`
        Cycles from a step's operands to its sums.
    capacity : :class:`int`
        Steps that are held at most, counting those whose sums are not taken.

    Members
    -------
    weights : :py:`In(core.weights.signature)`
        Codes. Taken together with `acts`.
    acts : :py:`In(stream.Signature(data.ArrayLayout(data.ArrayLayout(signed(8), 32), columns)))`
        Activations of each column; in S8, 16 to 31 do not matter. Taken together with `weights`.
    sums : :py:`Out(core.sums.signature)`
        Sums of the step.
    """
    def __init__(self, core):
        self.core, self.config, self.native, self.lanes = core, core.config, core.native, core.lanes
        self.inputs, self.latency, self.capacity = 1, core.latency + 1, core.capacity + 1
        super().__init__({
            "weights": In(stream.Signature(core.weights.p.shape())),
            "acts":    In(stream.Signature(
                data.ArrayLayout(data.ArrayLayout(signed(8), GROUP), core.config.columns))),
            "sums":    Out(stream.Signature(core.sums.p.shape())),
        })

    def outputs(self, fmt, mode=0):
        """Payloads of sums that a step gives."""
        return self.core.outputs(fmt, mode)

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
            m.d.sync += [held.eq(self.weights.valid & self.acts.valid), weights.eq(self.weights.payload)]

        # The planes 4 to 7 of S8 go with the same activations as the planes 0 to 3.
        twice = self.weights.p.format == WeightFormat.S8 if WeightFormat.S8 in self.native else C(0)
        for column, acts in enumerate(self.acts.p):
            for n, tables in enumerate(core.acts.p[column]):
                m.submodules[f"table_{column}_{n}"] = table = SignTable(core.inputs)
                m.d.comb += [table.en.eq(advance), tables.eq(table.o)]
                for k, i in enumerate(table.i, n * core.inputs):
                    m.d.comb += i.eq(Mux(twice, acts[k - 16], acts[k]) if k >= 16 else acts[k])

        return m
