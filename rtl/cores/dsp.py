"""DSP packing: two narrow products in one multiplier."""

from dataclasses import dataclass

from amaranth import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out


__all__ = ["Packing", "ECP5", "DSP48E2", "COLUMNS", "DspGroup"]


ACT_BITS = 8


@dataclass(frozen=True)
class Packing:
    """How two weights share one operand of a family's multiplier.

    The operand is (high << spacing) + low. Multiplied with an activation it gives both products in
    one number, (high * act << spacing) + low * act, and such numbers may be added before they are
    split. The lowest `spacing` bits of the sum are the low sum in two's complement. What is above
    is the high sum, from which a negative low sum has borrowed one: adding its sign bit corrects it
    exactly. Xilinx describe the same for 8-bit weights (WP486).

    Parameters
    ----------
    name : :class:`str`
        Multiplier that it is meant for.
    weight_bits : :class:`int`
        Bits of a weight, sign included. With the most negative one, -(2 ** (weight_bits - 1)),
        in both of two products, their sum may be split wrongly: it must not come.
    spacing : :class:`int`
        Bits between the two weights: at least `weight_bits` + 8, which leaves room for two
        products.
    """

    name: str
    weight_bits: int
    spacing: int

    def __post_init__(self):
        if self.spacing < self.weight_bits + ACT_BITS:
            raise ValueError(
                f"Packing {self.name!r}: spacing must be at least "
                f"{self.weight_bits + ACT_BITS}, not {self.spacing!r}"
            )

    @property
    def operand_bits(self):
        """Bits of the operand, sign included."""
        return self.spacing + self.weight_bits

    def operand(self, low, high):
        """Operand of two signed weights."""
        # The bits above low's are its sign's, all of which high is added to.
        return ((high << self.spacing) + low)[: self.operand_bits].as_signed()

    def split(self, total):
        """Low and high sum, both signed, in a sum of at most two products."""
        low, high = total[: self.spacing].as_signed(), total[self.spacing :].as_signed()
        return low, (high + low[-1])[: len(high)].as_signed()


ECP5 = Packing("ecp5", weight_bits=5, spacing=13)  # MULT18X18D: 18 x 18 bits
DSP48E2 = Packing("dsp48e2", weight_bits=8, spacing=18)  # 27 x 18 bits
# Two columns' activations share the wide operand, a weight of any format is the other: nine bits
# hold -128 less a borrow.
COLUMNS = Packing("columns", weight_bits=9, spacing=18)


class DspGroup(wiring.Component):
    """Two multipliers of a chain, and the sum of their products.

    The multiplications are inferred. Both registers are what DSP slices have inside: one behind
    each multiplier, one behind the adder.

    Latency is two cycles, throughput one sum per cycle. Operands are expected from registers.

    Parameters
    ----------
    operand_bits : :class:`int`
        Width of an operand: a weight, or what :meth:`Packing.operand` makes of two.

    Members
    -------
    operands : :py:`In(data.ArrayLayout(signed(operand_bits), 2))`
        Weights of each multiplier.
    acts : :py:`In(data.ArrayLayout(signed(8), 2))`
        Activation of each multiplier.
    total : :py:`Out(signed(operand_bits + 9))`
        Sum of both products, exact.
    """

    LATENCY = 2

    def __init__(self, operand_bits):
        self.operand_bits = operand_bits
        super().__init__(
            {
                "operands": In(data.ArrayLayout(signed(operand_bits), 2)),
                "acts": In(data.ArrayLayout(signed(ACT_BITS), 2)),
                "total": Out(signed(operand_bits + ACT_BITS + 1)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        products = [
            Signal(signed(self.operand_bits + ACT_BITS), name=f"product{n}", reset_less=True)
            for n in range(2)
        ]
        total = Signal.like(self.total, reset_less=True)
        m.d.sync += [products[n].eq(self.operands[n] * self.acts[n]) for n in range(2)]
        m.d.sync += total.eq(products[0] + products[1])
        m.d.comb += self.total.eq(total)
        return m
