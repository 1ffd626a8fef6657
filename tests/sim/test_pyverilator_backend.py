import pytest
from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out


pytest.importorskip("pyverilator")

from sim.harness.pyverilator_backend import build  # noqa: E402


WIDE = data.StructLayout({"value": signed(8), "rest": data.ArrayLayout(unsigned(32), 3)})


class Adder(wiring.Component):
    """Registers `i`, and adds `amount` to its value."""

    i: In(stream.Signature(WIDE))
    o: Out(stream.Signature(WIDE))
    amount: In(signed(8))

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.i.ready.eq(1)
        m.d.sync += [
            self.o.valid.eq(self.i.valid),
            self.o.p.rest.eq(self.i.p.rest),
            self.o.p.value.eq(self.i.p.value + self.amount),
        ]
        return m


@pytest.mark.seconds(10)
def test_ports():
    dut = build(Adder(), "adder")
    assert dut["o.valid"] == 0 and dut["i.ready"] == 1
    rest = [2**32 - 1, 0, 0x12345678]
    dut["i.payload"] = {"value": -5, "rest": rest}
    dut["i.valid"] = 1
    dut["amount"] = -3
    dut.tick()
    assert dut["o.payload"] == {"value": -8, "rest": rest} and dut["o.valid"] == 1
    assert dut.cycles == 1
    with pytest.raises(
        KeyError,
        match=r"Input must be one of amount, i\.payload, i\.valid, o\.ready, "
        r"not 'o\.valid'",
    ):
        dut["o.valid"] = 1
    with pytest.raises(KeyError, match="Port must be one of .*, not 'nothing'"):
        dut["nothing"]
    with pytest.raises(ValueError, match=r"^Value must be in range\(-128, 128\), not 128$"):
        dut["amount"] = 128
