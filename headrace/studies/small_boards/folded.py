"""A design with many ports, for a chip with few pins."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


__all__ = ["Folded"]


class Folded(wiring.Component):
    """Route a component alone, with all of its logic, and count paths to and from its ports.

    Inputs come from a shift register, outputs go to registers, whose parity leaves: a bit each.

    Parameters
    ----------
    component : component
        Its ports must be plain signals.

    Members
    -------
    i : :py:`In(1)`
        Into the shift register.
    o : :py:`Out(1)`
        Parity of the outputs, two cycles before.
    """

    def __init__(self, component):
        self._component = component
        super().__init__({"i": In(1), "o": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.component = component = self._component
        inputs, outputs = [], []
        for _, member, value in component.signature.flatten(component):
            (outputs if member.flow == Out else inputs).append(Value.cast(value))
        inputs, outputs = Cat(inputs), Cat(outputs)
        chain, seen = Signal(len(inputs), reset_less=True), Signal(len(outputs), reset_less=True)
        m.d.comb += inputs.eq(chain)
        m.d.sync += [chain.eq(Cat(self.i, chain)), seen.eq(outputs), self.o.eq(seen.xor())]
        return m
